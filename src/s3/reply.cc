#include "s3/reply.h"

#include "s3/xml.h"

namespace hamster::s3 {

Reply xml_reply(std::string xml, int status) {
    Reply reply;
    reply.status = status;
    reply.header("Content-Type", "application/xml");
    reply.body = std::move(xml);
    return reply;
}

Reply error_reply(const S3Error& error, std::string_view resource, std::string_view request_id,
                  bool is_head) {
    const ErrorRow& row = row_of(error.code);
    Reply reply;
    if (!is_head && row.status != 304) {
        XmlWriter xml;
        xml.open("Error");
        xml.element("Code", row.name);
        xml.element("Message", error.message.empty() ? row.message : error.message);
        for (const auto& [name, value] : error.details) xml.element(name, value);
        xml.element("Resource", resource);
        xml.element("RequestId", request_id);
        xml.element("HostId", request_id);
        xml.close();
        reply = xml_reply(std::move(xml).take(), row.status);
    }
    reply.status = row.status;
    reply.is_head = is_head;
    for (const auto& [name, value] : error.headers) reply.header(name, value);
    return reply;
}

}  // namespace hamster::s3
