// Coroutines. Task<T> is asio's awaitable on a type-erased executor: the same type over a real
// io_context and over the simulator's executor.
// Rules (docs/architecture.md, "Coroutines"): parameters by value or a pointer whose owner
// outlives the gate; one co_await per statement; never resume on another loop than the one that
// suspended; after every co_await re-read shared state.
#pragma once

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>

namespace hamster::runtime {

namespace asio = boost::asio;

using Executor = asio::any_io_executor;

template <class T = void>
using Task = asio::awaitable<T>;

// Lets everything run that is already waiting for its turn on this loop.
inline Task<void> yield() { co_await asio::post(asio::use_awaitable); }

// Runs `task` on another loop and resumes the caller on its own loop with the result. Both loops
// must outlive the call. An exception that escapes `task` aborts the process.
template <class T>
Task<T> run_on(Executor executor, Task<T> task) {
    co_return co_await asio::co_spawn(executor, std::move(task), asio::use_awaitable);
}

}  // namespace hamster::runtime
