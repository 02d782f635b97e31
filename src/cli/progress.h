// Long work that goes on in a node: looked at again and again, and shown on one line.
#pragma once

#include <unistd.h>

#include <boost/json/object.hpp>
#include <chrono>
#include <ostream>
#include <string>
#include <thread>

#include "base/result.h"
#include "cli/args.h"
#include "cli/console.h"
#include "cli/json_fields.h"

namespace hamster::cli {

inline constexpr auto kLookEvery = std::chrono::seconds(1);
inline constexpr int kMaxFailures = 60;  // looks in a row: the node restarts, or nobody leads

// One line, written over again on a terminal.
class ProgressLine {
  public:
    explicit ProgressLine(Console* console)
        : console_(console), is_terminal_(::isatty(STDERR_FILENO) == 1) {}
    void show(const std::string& text) {
        if (is_terminal_) {
            console_->err << "\r\x1b[K" << text << std::flush;
        } else if (text != shown_) {
            console_->err << text << "\n" << std::flush;
        }
        shown_ = text;
    }
    void end() {
        if (is_terminal_ && !shown_.empty()) console_->err << "\n";
    }

  private:
    Console* console_;
    bool is_terminal_;
    std::string shown_;
};

// Looks again and again until `step` says that it is done; its answer then. Failures are borne for
// a while.
template <class Step>
Result<boost::json::object> watch(const Args& args, Console& console, Step step) {
    ProgressLine line(&console);
    for (int failures = 0;;) {
        Result<boost::json::object> looked = step(args, line);
        if (looked && bool_of(*looked, "done")) {
            line.end();
            return looked;
        }
        failures = looked ? 0 : failures + 1;
        if (failures == kMaxFailures) {
            line.end();
            return looked;
        }
        if (!looked) line.show("the cluster does not answer: " + looked.error().context);
        std::this_thread::sleep_for(kLookEvery);
    }
}

}  // namespace hamster::cli
