// Implementation of when_all(); included by sync.h.
#pragma once

namespace hamster::runtime {

namespace detail {
template <class T>
Task<void> store_result(std::optional<T>* out, Task<T> task) {
    out->emplace(co_await std::move(task));
}
}  // namespace detail

template <class T>
Task<std::vector<T>> when_all(std::vector<Task<T>> tasks) {
    auto executor = co_await asio::this_coro::executor;
    std::vector<std::optional<T>> results(tasks.size());
    Gate gate;
    for (std::size_t i = 0; i < tasks.size(); ++i) {
        spawn(executor, gate, "when_all",
              detail::store_result<T>(&results[i], std::move(tasks[i])));
    }
    co_await gate.close();
    std::vector<T> out;
    out.reserve(results.size());
    for (auto& result : results) {
        HAMSTER_ASSERT(result.has_value());
        out.push_back(std::move(*result));
    }
    co_return out;
}

}  // namespace hamster::runtime
