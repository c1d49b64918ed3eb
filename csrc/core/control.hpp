// Cooperative cancellation: long work asks stop() between pieces of a few milliseconds.
#pragma once

#include <atomic>
#include <chrono>
#include <functional>
#include <thread>
#include <utility>

namespace vecpress {

class Control {
 public:
  // `interrupted` is called at most every 50 ms, on the constructing thread only, and says whether to give up (a pending signal).
  explicit Control(std::function<bool()> interrupted = nullptr)
      : interrupted_(std::move(interrupted)), owner_(std::this_thread::get_id()) {}

  bool stop() {
    if (stopped_.load(std::memory_order_relaxed)) return true;
    if (!interrupted_ || std::this_thread::get_id() != owner_) return false;
    const auto now = std::chrono::steady_clock::now();
    if (now < next_) return false;
    next_ = now + std::chrono::milliseconds(50);
    if (interrupted_()) stopped_.store(true, std::memory_order_relaxed);
    return stopped_.load(std::memory_order_relaxed);
  }

 private:
  std::function<bool()> interrupted_;
  std::thread::id owner_;
  std::atomic<bool> stopped_{false};
  std::chrono::steady_clock::time_point next_ = std::chrono::steady_clock::now() + std::chrono::milliseconds(50);
};

}  // namespace vecpress
