#include "campaign.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <poll.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <csignal>
#include <cstdio>
#include <map>

#include "base/assert.h"
#include "base/encoding.h"
#include "planted.h"

namespace hamster::simulation {

namespace {

// A seed that says nothing for so long hangs in real time.
constexpr int kSilenceSeconds = 300;

void send_line(int fd, const std::string& line) {
    const std::string text = line + "\n";
    for (std::size_t at = 0; at < text.size();) {
        const ssize_t n = ::write(fd, text.data() + at, text.size() - at);
        if (n <= 0) ::_exit(3);
        at += static_cast<std::size_t>(n);
    }
}

std::string packed(std::string_view text) { return base::hex_encode(base::as_bytes(text)); }

// The child: its share of the seeds, one line per event.
[[noreturn]] void work(const Campaign& campaign, int number, int fd) {
    if (campaign.quiet && std::freopen("/dev/null", "w", stderr) == nullptr) ::_exit(3);
    plant(campaign.bug);
    std::set<std::string, std::less<>> points;
    const auto step = static_cast<std::size_t>(campaign.jobs);
    const auto began = std::chrono::steady_clock::now();
    const std::chrono::seconds within(campaign.within_s);
    for (auto i = static_cast<std::size_t>(number); i < campaign.seeds.size(); i += step) {
        if (campaign.within_s > 0 && std::chrono::steady_clock::now() - began >= within) break;
        const std::uint64_t seed = campaign.seeds[i];
        send_line(fd, fmt::format("begin {}", seed));
        RunResult outcome = campaign.run(seed, false);
        const bool again =
            campaign.repeat_every > 0 && i % static_cast<std::size_t>(campaign.repeat_every) == 0;
        if (!outcome.violation && again) {
            const RunResult second = campaign.run(seed, false);
            if (second.trace_hash != outcome.trace_hash) {
                outcome.violation =
                    Violation{"I14", fmt::format("trace hash {:016x}, then {:016x}",
                                                 outcome.trace_hash, second.trace_hash)};
            }
        }
        for (const std::string& point : outcome.points) {
            if (points.insert(point).second) send_line(fd, "point " + point);
        }
        if (outcome.violation) {
            send_line(fd, fmt::format("fail {} {} {}", seed, outcome.violation->invariant,
                                      packed(outcome.violation->account)));
            ::_exit(1);
        }
        send_line(fd, fmt::format("pass {} {} {}", seed, outcome.requests, outcome.simulated_us));
    }
    send_line(fd, "end 0");
    ::_exit(0);
}

struct Child {
    pid_t pid = 0;
    int fd = -1;
    std::string buffer;
    std::uint64_t seed = 0;
    bool ended = false;
};

std::vector<std::string> words_of(const std::string& line) {
    std::vector<std::string> words;
    for (std::size_t at = 0; at <= line.size();) {
        const std::size_t end = std::min(line.find(' ', at), line.size());
        words.push_back(line.substr(at, end - at));
        at = end + 1;
    }
    return words;
}

class Parent {
  public:
    explicit Parent(const Campaign* campaign) : campaign_(campaign) {}

    Tally run() {
        for (int i = 0; i < campaign_->jobs; ++i) start(i);
        while (!children_.empty() && !tally_.failure) turn();
        for (const Child& child : children_) {
            ::kill(child.pid, SIGKILL);
            finish(child);
        }
        if (campaign_->progress) fmt::print(stderr, "\n");
        return std::move(tally_);
    }

  private:
    void start(int number) {
        int ends[2];
        if (::pipe(ends) != 0) std::abort();
        std::fflush(nullptr);
        const pid_t pid = ::fork();
        if (pid == 0) {
            ::close(ends[0]);
            work(*campaign_, number, ends[1]);
        }
        ::close(ends[1]);
        Child child;
        child.pid = pid;
        child.fd = ends[0];
        children_.push_back(child);
    }

    static int finish(const Child& child) {
        ::close(child.fd);
        int status = 0;
        ::waitpid(child.pid, &status, 0);
        return status;
    }

    void turn() {
        std::vector<pollfd> fds;
        fds.reserve(children_.size());
        for (const Child& child : children_) fds.push_back({child.fd, POLLIN, 0});
        const int ready = ::poll(fds.data(), fds.size(), kSilenceSeconds * 1000);
        if (ready == 0) {
            tally_.failure = Failure{children_.front().seed, "I10", "the seed hangs in real time"};
            return;
        }
        for (std::size_t i = fds.size(); i-- > 0;) {
            if (fds[i].revents != 0 && !read_from(children_[i])) {
                const int status = finish(children_[i]);
                if (!children_[i].ended && !tally_.failure) {
                    tally_.failure =
                        Failure{children_[i].seed, "assert",
                                fmt::format("the process died with status {}", status)};
                }
                children_.erase(children_.begin() + static_cast<std::ptrdiff_t>(i));
            }
        }
    }

    bool read_from(Child& child) {
        char room[4096];
        const ssize_t n = ::read(child.fd, room, sizeof(room));
        if (n <= 0) return false;
        child.buffer.append(room, static_cast<std::size_t>(n));
        std::size_t end = 0;
        while ((end = child.buffer.find('\n')) != std::string::npos) {
            take(child, words_of(child.buffer.substr(0, end)));
            child.buffer.erase(0, end + 1);
        }
        return true;
    }

    void take(Child& child, const std::vector<std::string>& words) {
        if (words[0] == "begin") child.seed = base::parse_u64(words[1]).value_or(0);
        if (words[0] == "end") child.ended = true;
        if (words[0] == "point") tally_.points.insert(words[1]);
        if (words[0] == "pass") {
            ++tally_.passed;
            tally_.requests += base::parse_u64(words[2]).value_or(0);
            tally_.simulated_s += static_cast<double>(base::parse_u64(words[3]).value_or(0)) / 1e6;
            if (campaign_->progress && tally_.passed % 10 == 0) {
                fmt::print(stderr, "\r{} of {} seeds passed", tally_.passed,
                           campaign_->seeds.size());
            }
        }
        if (words[0] == "fail") {
            child.ended = true;
            tally_.failure = Failure{base::parse_u64(words[1]).value_or(0), words[2],
                                     base::hex_decode(words[3]).value_or("")};
        }
    }

    const Campaign* campaign_;
    std::vector<Child> children_;
    Tally tally_;
};

}  // namespace

Tally run_campaign(const Campaign& campaign) { return Parent(&campaign).run(); }

}  // namespace hamster::simulation
