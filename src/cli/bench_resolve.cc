#include "cli/bench_resolve.h"

#include <ares.h>
#include <arpa/inet.h>
#include <fmt/format.h>
#include <netdb.h>
#include <netinet/in.h>
#include <sys/select.h>

#include <array>

namespace hamster::cli::bench {

namespace {

struct Answer {
    int status = ARES_ENODATA;
    std::string address;
};

std::string with_port(const std::string& address, std::uint16_t port) {
    const bool is_v6 = address.find(':') != std::string::npos;
    return is_v6 ? fmt::format("[{}]:{}", address, port) : fmt::format("{}:{}", address, port);
}

bool is_address(const std::string& host) {
    std::array<unsigned char, sizeof(in6_addr)> ignored{};
    return ::inet_pton(AF_INET, host.c_str(), ignored.data()) == 1 ||
           ::inet_pton(AF_INET6, host.c_str(), ignored.data()) == 1;
}

void on_answer(void* out, int status, int /*timeouts*/, ares_addrinfo* found) {
    auto* const answer = static_cast<Answer*>(out);
    answer->status = status;
    if (found == nullptr) return;
    if (found->nodes != nullptr) {
        const sockaddr* const raw = found->nodes->ai_addr;
        std::array<char, INET6_ADDRSTRLEN> text{};
        const void* const bytes =
            raw->sa_family == AF_INET6
                ? static_cast<const void*>(&reinterpret_cast<const sockaddr_in6*>(raw)->sin6_addr)
                : static_cast<const void*>(&reinterpret_cast<const sockaddr_in*>(raw)->sin_addr);
        ::inet_ntop(raw->sa_family, bytes, text.data(), text.size());
        answer->address = text.data();
    }
    ares_freeaddrinfo(found);
}

// c-ares gives up by itself, so this ends.
void run(ares_channel channel) {
    for (;;) {
        fd_set readable;
        fd_set writable;
        FD_ZERO(&readable);
        FD_ZERO(&writable);
        const int count = ares_fds(channel, &readable, &writable);
        if (count == 0) return;
        timeval longest{1, 0};
        timeval* const wait = ares_timeout(channel, &longest, &longest);
        ::select(count, &readable, &writable, nullptr, wait);
        ares_process(channel, &readable, &writable);
    }
}

}  // namespace

Result<std::string> resolve(const std::string& host, std::uint16_t port) {
    if (is_address(host)) return with_port(host, port);
    if (host == "localhost") return with_port("127.0.0.1", port);
    Answer answer;
    ares_channel channel = nullptr;
    answer.status = ares_library_init(ARES_LIB_INIT_ALL);
    if (answer.status == ARES_SUCCESS) answer.status = ares_init(&channel);
    if (answer.status == ARES_SUCCESS) {
        ares_addrinfo_hints hints{};
        hints.ai_family = AF_UNSPEC;
        hints.ai_socktype = SOCK_STREAM;
        ares_getaddrinfo(channel, host.c_str(), nullptr, &hints, on_answer, &answer);
        run(channel);
        ares_destroy(channel);
    }
    if (answer.address.empty()) {
        return fail(Code::kNotFound,
                    fmt::format("cannot resolve {}: {}", host, ares_strerror(answer.status)));
    }
    return with_port(answer.address, port);
}

}  // namespace hamster::cli::bench
