// Implementation of run_blocking(); included by world.h.
#pragma once

#include <boost/asio/associated_executor.hpp>
#include <boost/asio/async_result.hpp>
#include <boost/asio/post.hpp>
#include <type_traits>
#include <utility>

namespace hamster::runtime {

template <class Fn>
Task<std::invoke_result_t<Fn>> run_blocking(BlockingPool* pool, Fn fn, WorkKind kind) {
    using R = std::invoke_result_t<Fn>;
    static_assert(!std::is_void_v<R>, "return a Result<void> instead");
    co_return co_await asio::async_initiate<const asio::use_awaitable_t<>, void(R)>(
        [kind](auto handler, BlockingPool* on, Fn work) {
            auto job = [handler = std::move(handler), work = std::move(work)]() mutable {
                R result = work();
                auto executor = asio::get_associated_executor(handler);
                asio::post(executor,
                           [handler = std::move(handler), result = std::move(result)]() mutable {
                               std::move(handler)(std::move(result));
                           });
            };
            on->post(std::move(job), kind);
        },
        asio::use_awaitable, pool, std::move(fn));
}

}  // namespace hamster::runtime
