#include "cli/control_client.h"

#include <fmt/format.h>
#include <unistd.h>

#include <boost/json/parse.hpp>
#include <boost/json/serialize.hpp>
#include <filesystem>
#include <memory>
#include <optional>
#include <ostream>
#include <utility>

#include "base/encoding.h"
#include "node/data_dir.h"
#include "runtime/real/loops.h"

namespace hamster::cli {

using runtime::Task;
using runtime::real::Loops;
namespace json = boost::json;

namespace {

constexpr runtime::Micros kCallDeadline = std::chrono::seconds(30);
constexpr std::size_t kMaxAnswerBytes = 64U << 20U;

struct RawAnswer {
    int status = 0;
    std::string body;
};

Result<RawAnswer> split_answer(const std::string& text) {
    const std::size_t head_end = text.find("\r\n\r\n");
    const std::size_t space = text.find(' ');
    if (!text.starts_with("HTTP/1.1 ") || head_end == std::string::npos ||
        space + 4 > text.size()) {
        return fail(Code::kClosed, "the node closed the connection without an answer");
    }
    const auto status = base::parse_u64(std::string_view(text).substr(space + 1, 3));
    if (!status) return fail(Code::kCorrupt, "the node's answer makes no sense");
    return RawAnswer{static_cast<int>(*status), text.substr(head_end + 4)};
}

Task<Result<std::string>> exchange(runtime::World* world, std::string address,
                                   std::string request) {
    const runtime::Time deadline = world->clock.now() + kCallDeadline;
    auto connected = co_await world->network.connect(std::move(address), deadline);
    if (!connected) {
        co_return fail(Code::kUnavailable, connected.error().context);
    }
    const std::unique_ptr<runtime::Stream> stream = std::move(*connected);
    stream->set_deadline(deadline);
    std::vector<base::Bytes> pieces{base::as_bytes(request)};
    auto written = co_await stream->write(std::move(pieces));
    CO_TRY(written);
    std::string text;
    while (text.size() < kMaxAnswerBytes) {
        char chunk[16384];
        auto got = co_await stream->read_some(
            base::MutableBytes(reinterpret_cast<std::byte*>(chunk), sizeof(chunk)));
        CO_TRY_ASSIGN(const std::size_t n, got);
        if (n == 0) break;
        text.append(chunk, n);
    }
    stream->close();
    co_return text;
}

Task<int> exchange_main(Loops* loops, std::string address, std::string request,
                        std::optional<Result<std::string>>* out) {
    auto text = co_await exchange(&loops->control(), std::move(address), std::move(request));
    out->emplace(std::move(text));
    co_return 0;
}

}  // namespace

std::string control_address(const std::string& data_dir) {
    std::error_code error;
    std::filesystem::path path = std::filesystem::absolute(data_dir, error);
    if (error) path = data_dir;
    return fmt::format("unix:{}", (path.lexically_normal() / node::kControlSocket).string());
}

Result<json::value> call_node(const std::string& data_dir, const std::string& method,
                              const std::string& path, const std::string& body) {
    runtime::real::Options options;
    options.io_loops = 1;
    options.pool_threads = 1;
    TRY_ASSIGN(const std::unique_ptr<Loops> loops, Loops::create(options));
    const std::string request =
        fmt::format("{} {} HTTP/1.1\r\nHost: node\r\nContent-Length: {}\r\n\r\n{}", method, path,
                    body.size(), body);
    std::optional<Result<std::string>> outcome;
    (void)loops->run(exchange_main(loops.get(), control_address(data_dir), request, &outcome),
                     [](int) { ::_exit(kExitFailed); });
    if (!outcome) return fail(Code::kUnavailable, "interrupted");
    if (!*outcome) {
        if (outcome->error().code != Code::kUnavailable) return std::unexpected(outcome->error());
        return fail(
            Code::kUnavailable,
            fmt::format("no node is running on {0}: start it with `hamster serve -data-dir {0}`",
                        data_dir));
    }
    TRY_ASSIGN(const RawAnswer answer, split_answer(**outcome));
    boost::system::error_code error;
    json::value value = json::parse(answer.body, error);
    if (error) return fail(Code::kCorrupt, fmt::format("the node answered {}", answer.status));
    if (answer.status == 200) return value;
    const json::object* object = value.if_object();
    const json::value* message = object == nullptr ? nullptr : object->if_contains("message");
    if (message == nullptr || !message->is_string()) {
        return fail(Code::kInvalid, fmt::format("the node answered {}", answer.status));
    }
    return fail(Code::kInvalid, std::string(message->get_string().c_str()));
}

Result<json::object> ask_node(const std::string& data_dir, const std::string& method,
                              const std::string& path, const json::object& body) {
    const std::string text = method == "GET" ? std::string() : json::serialize(body);
    TRY_ASSIGN(const json::value answer, call_node(data_dir, method, path, text));
    if (!answer.is_object()) return fail(Code::kCorrupt, "the node's answer is no JSON object");
    return answer.get_object();
}

int report_failure(Console& console, const Error& error) {
    console.err << fmt::format("hamster: {}\n", error.context);
    return error.code == Code::kUnavailable ? kExitNotRunning : kExitFailed;
}

}  // namespace hamster::cli
