#include "cli/args.h"

#include <gtest/gtest.h>

namespace hamster::cli {
namespace {

constexpr Flag kServeFlags[] = {
    {"data-dir", "DIR", "where", "", true},
    {"s3", "ADDRESS", "listen", "127.0.0.1:9000"},
    {"access-log", "", "log", ""},
};
constexpr Flag kUserFlags[] = {{"data-dir", "DIR", "where", "", true}, {"json", "", "json", ""}};
constexpr Verb kVerbs[] = {
    {"serve", "", "serve", kServeFlags, nullptr},
    {"user create", "NAME", "create", kUserFlags, nullptr},
    {"user list", "", "list", kUserFlags, nullptr},
};

Result<Args> parse_words(const Verb& verb, std::vector<std::string> words) {
    return parse(verb, words);
}
std::string refusal(const Verb& verb, std::vector<std::string> words) {
    auto args = parse(verb, words);
    return args ? "accepted" : args.error().context;
}
std::string unknown_verb(std::vector<std::string> words) {
    auto match = find_verb(kVerbs, words);
    return match ? "accepted" : match.error().context;
}

TEST(Args, EveryWayToWriteAFlagMeansTheSame) {
    for (const std::vector<std::string>& words : std::vector<std::vector<std::string>>{
             {"-data-dir", "d"}, {"-data-dir=d"}, {"--data-dir", "d"}, {"--data-dir=d"}}) {
        auto args = parse_words(kVerbs[0], words);
        ASSERT_TRUE(args.has_value());
        EXPECT_EQ(args->at("data-dir"), "d");
        EXPECT_EQ(args->at("s3"), "127.0.0.1:9000");
        EXPECT_FALSE(args->was_given("s3"));
        EXPECT_FALSE(args->is_on("access-log"));
    }
    auto args = parse_words(kVerbs[0], {"--access-log", "-data-dir=a=b"});
    ASSERT_TRUE(args.has_value());
    EXPECT_EQ(args->at("data-dir"), "a=b");
    EXPECT_TRUE(args->is_on("access-log"));
}

TEST(Args, OperandsMixWithFlagsAndADoubleDashEndsFlags) {
    auto args = parse_words(kVerbs[1], {"alice", "-data-dir", "d"});
    ASSERT_TRUE(args.has_value());
    EXPECT_EQ(args->operands(), std::vector<std::string>{"alice"});
    args = parse_words(kVerbs[1], {"-data-dir", "d", "--", "-alice"});
    ASSERT_TRUE(args.has_value());
    EXPECT_EQ(args->operands(), std::vector<std::string>{"-alice"});
}

TEST(Args, MistakesAreNamedWithTheRemedy) {
    EXPECT_EQ(refusal(kVerbs[0], {"-data-dri", "d"}),
              "`hamster serve` has no flag -data-dri: did you mean -data-dir?");
    EXPECT_EQ(refusal(kVerbs[0], {"-zzz"}), "`hamster serve` has no flag -zzz");
    EXPECT_EQ(refusal(kVerbs[0], {"-data-dir"}), "-data-dir needs a value: -data-dir DIR");
    EXPECT_EQ(refusal(kVerbs[0], {"-data-dir="}), "the value of -data-dir is empty");
    EXPECT_EQ(refusal(kVerbs[0], {}), "-data-dir is missing: say -data-dir DIR");
    EXPECT_EQ(refusal(kVerbs[0], {"-data-dir", "a", "-data-dir", "b"}), "-data-dir is given twice");
    EXPECT_EQ(refusal(kVerbs[0], {"-data-dir", "a", "-access-log=yes"}),
              "-access-log is a switch and takes no value");
    EXPECT_EQ(refusal(kVerbs[1], {"-data-dir", "a"}), "NAME is missing");
    EXPECT_EQ(refusal(kVerbs[1], {"-data-dir", "a", "x", "y"}), "`y` is one word too many");
}

TEST(Args, VerbsAreFoundByTheirWords) {
    auto match = find_verb(kVerbs, std::vector<std::string>{"user", "create", "bob"});
    ASSERT_TRUE(match.has_value());
    EXPECT_EQ(match->verb->path, "user create");
    EXPECT_EQ(match->words, 2U);
    match = find_verb(kVerbs, std::vector<std::string>{"serve", "-s3", "x"});
    ASSERT_TRUE(match.has_value());
    EXPECT_EQ(match->words, 1U);
    EXPECT_EQ(unknown_verb({"sevre"}), "there is no `hamster sevre`: did you mean serve?");
    EXPECT_EQ(unknown_verb({"frobnicate"}), "there is no `hamster frobnicate`");
    EXPECT_EQ(unknown_verb({"user"}), "`hamster user` takes one of: create list");
    EXPECT_EQ(unknown_verb({"user", "crate"}),
              "`hamster user` takes one of: create list: did you mean create?");
}

TEST(Args, TheUsageLineShowsWhatIsRequired) {
    EXPECT_EQ(usage_line(kVerbs[1]), "hamster user create NAME -data-dir DIR [flags]");
}

}  // namespace
}  // namespace hamster::cli
