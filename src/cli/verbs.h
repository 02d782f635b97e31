// The table of verbs, and what runs them. A new verb is one row and one function.
#pragma once

#include <span>

#include "cli/args.h"
#include "cli/console.h"

namespace hamster::cli {

std::span<const Verb> verbs();

int run_init(const Args& args, Console& console);
int run_join(const Args& args, Console& console);
int run_token(const Args& args, Console& console);
int run_can_stop(const Args& args, Console& console);
int run_transfer_leadership(const Args& args, Console& console);
int run_drain(const Args& args, Console& console);
int run_undrain(const Args& args, Console& console);
int run_optimize(const Args& args, Console& console);
int run_set_profile(const Args& args, Console& console);
int run_remove(const Args& args, Console& console);
int run_recover(const Args& args, Console& console);
int run_serve(const Args& args, Console& console);
int run_scrub(const Args& args, Console& console);
int run_status(const Args& args, Console& console);
int run_user_create(const Args& args, Console& console);
int run_user_list(const Args& args, Console& console);
int run_user_disable(const Args& args, Console& console);
int run_user_enable(const Args& args, Console& console);
int run_user_delete(const Args& args, Console& console);
int run_key_create(const Args& args, Console& console);
int run_key_revoke(const Args& args, Console& console);
int run_bench(const Args& args, Console& console);
int run_completion(const Args& args, Console& console);
int run_version(const Args& args, Console& console);

}  // namespace hamster::cli
