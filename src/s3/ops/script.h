// S3 behaviour as scripts of requests and responses (tests only). A file holds cases; each case
// starts with an empty store:
//
//     @ name of the case
//     as alice                      who sends the following requests; root at first
//     region eu-west-1              of the server, for this case
//     wait 2000                     virtual milliseconds
//     > PUT /bucket/key             a request; more lines with > are its headers
//     > Content-Type: text/plain
//     >> first line of the body     lines of a body are joined by line feeds
//     >* 5242880 a                  a body of that many bytes (appended)
//     < 200                         the status expected; more lines with < are headers:
//     < ETag: "{etag}"              must be there, exactly so
//     < !x-amz-version-id           must not be there
//     << <Error><Code>X</Code>      the XML body, without its declaration; lines are trimmed and
//     << </Error>                   joined by nothing, so that documents can be laid out
//     <= text                       the exact body; lines are joined by line feeds
//     <~ <Code>X</Code>             the body holds this
//     <!~ <Code>                    the body does not hold this
//     <# 5242880                    the body has this many bytes
//
// Without any body line the body must be empty. {*} stands for any text within one element or
// header; {name} captures such text when first met, and stands for what it captured afterwards,
// in requests too. Lines starting with # are comments.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace hamster::s3::ops::script {

struct Exchange {
    int line = 0;
    std::string user;
    std::uint64_t wait_ms = 0;  // before it
    std::string method;
    std::string target;
    std::vector<std::pair<std::string, std::string>> headers;
    std::string body;
    int status = 0;
    std::vector<std::pair<std::string, std::string>> expected_headers;
    std::vector<std::string> absent_headers;
    std::optional<std::string> xml;
    std::optional<std::string> text;
    std::optional<std::uint64_t> size;
    std::vector<std::string> holds;
    std::vector<std::string> lacks;
};
struct Case {
    std::string name;
    std::string region = "us-east-1";
    std::vector<Exchange> exchanges;
};
// A message in `problem` when the script itself is wrong.
std::vector<Case> parse(std::string_view text, std::string* problem);

using Captures = std::map<std::string, std::string>;
// Puts captured text in place of {name}; unknown names stay.
std::string fill_in(std::string_view text, const Captures& captures);
// Matches all of `actual`; captures what is new.
bool matches(std::string_view pattern, std::string_view actual, Captures& captures);
// Finds a place where the pattern matches.
bool finds(std::string_view pattern, std::string_view actual, Captures& captures);

struct Actual {
    int status = 0;
    std::vector<std::pair<std::string, std::string>> headers;
    std::string body;
};
// What differs, for people; empty when all is as expected.
std::string compare(const Exchange& exchange, const Actual& actual, Captures& captures);

}  // namespace hamster::s3::ops::script
