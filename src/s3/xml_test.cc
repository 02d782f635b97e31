#include "s3/xml.h"

#include <gtest/gtest.h>

namespace hamster::s3 {
namespace {

TEST(XmlWriter, WritesAndEscapes) {
    XmlWriter xml;
    xml.open_root("R");
    xml.element("A", "<&>\"'");
    xml.element("B", std::string_view("x\0\x01\r\n\x1f", 6));
    xml.element("C", std::uint64_t{18446744073709551615ULL});
    xml.element("D", true);
    xml.empty_element("E");
    xml.close();
    EXPECT_EQ(std::move(xml).take(),
              "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n"
              "<R xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\">"
              "<A>&lt;&amp;&gt;&quot;&#39;</A><B>x&#x0;&#x1;&#xd;\n&#x1f;</B>"
              "<C>18446744073709551615</C><D>true</D><E/></R>");
}

TEST(ParseXml, ReadsWhatClientsSend) {
    const auto root = parse_xml(
        "<?xml version=\"1.0\"?>\n<Delete xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\">\n"
        "  <Quiet>true</Quiet><Object><Key>a&amp;&#x1;&#13;b</Key></Object>"
        "<Object><Key> </Key></Object><Object><Key><![CDATA[<&>]]></Key></Object></Delete>",
        "Delete");
    ASSERT_TRUE(root.has_value());
    EXPECT_EQ(root->text_of("Quiet").value(), "true");
    EXPECT_EQ(root->count("Object"), 3u);
    EXPECT_EQ(root->children[1].text_of("Key").value(), "a&\x01\rb");
    EXPECT_EQ(root->children[2].text_of("Key").value(), " ");
    EXPECT_EQ(root->children[3].text_of("Key").value(), "<&>");
    EXPECT_FALSE(root->text_of("Missing").value().has_value());
    EXPECT_FALSE(root->text_of("Object").has_value());
}

TEST(ParseXml, RefusesEverythingElse) {
    const auto refused = [](std::string_view text) { return !parse_xml(text, "R").has_value(); };
    EXPECT_FALSE(refused("<R/>"));
    EXPECT_TRUE(refused(""));
    EXPECT_TRUE(refused("<S/>"));
    EXPECT_TRUE(refused("<R>"));
    EXPECT_TRUE(refused("<R/><R/>"));
    EXPECT_TRUE(refused("<!DOCTYPE R><R/>"));
    EXPECT_TRUE(refused("<!DOCTYPE R [<!ENTITY e SYSTEM \"file:///etc/passwd\">]><R>&e;</R>"));
    EXPECT_TRUE(refused("<R>&e;</R>"));
    EXPECT_TRUE(refused("<R>&</R>"));
    EXPECT_TRUE(refused("<R>&#0;</R>"));
    EXPECT_TRUE(refused("<R>&#xD800;</R>"));
    EXPECT_TRUE(refused("<R>&#x110000;</R>"));
    EXPECT_TRUE(refused("<R>\xff</R>"));
    EXPECT_TRUE(refused(std::string_view("<R>\0</R>", 8)));
    EXPECT_TRUE(refused("<R xmlns=\"http://example.com/\"/>"));
    EXPECT_TRUE(refused("<R><A xmlns=\"http://example.com/\"/></R>"));
    EXPECT_TRUE(refused("<x:R xmlns:x=\"http://s3.amazonaws.com/doc/2006-03-01/\"/>"));
    EXPECT_TRUE(refused("<R>text<A/></R>"));
    std::string deep;
    for (int i = 0; i < 5000; ++i) deep += "<R>";
    for (int i = 0; i < 5000; ++i) deep += "</R>";
    EXPECT_TRUE(refused(deep));
}

TEST(ParseXml, RefusesDuplicatesWhereOneIsMeant) {
    const auto root = parse_xml("<R><A>1</A><A>2</A></R>", "R");
    ASSERT_TRUE(root.has_value());
    EXPECT_FALSE(root->text_of("A").has_value());
}

}  // namespace
}  // namespace hamster::s3
