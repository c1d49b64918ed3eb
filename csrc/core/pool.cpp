// A pool of sleeping threads. A caller posts a job, works on it itself, and waits for the helpers that joined.
//
// fork(): the child has none of the parent's threads, and the parent's mutex may be locked in it forever. So the pool lives behind a
// pointer that the child replaces with a new, empty pool (the old one is leaked). It is never destroyed either: at exit its sleeping
// threads end with the process.
#include "core/pool.hpp"

#if defined(__linux__)
#include <sched.h>
#endif

#include <algorithm>
#include <condition_variable>
#include <exception>
#include <list>
#include <mutex>
#include <system_error>
#include <thread>

#include "core/fork.hpp"

namespace vecpress {
namespace {

struct Job {
  int64_t count;
  int helpers_wanted;
  int helpers_active = 0;
  std::atomic<int64_t> next{0};
  Control* control;
  const std::function<void(int64_t)>* task;
  std::condition_variable done;
  std::atomic_flag failed = ATOMIC_FLAG_INIT;
  std::exception_ptr failure;

  void work() {
    while (!control->stop()) {
      const int64_t i = next.fetch_add(1, std::memory_order_relaxed);
      if (i >= count) return;
      try {
        (*task)(i);
      } catch (...) {
        next.store(count, std::memory_order_relaxed);  // nobody begins another task
        if (!failed.test_and_set()) failure = std::current_exception();
      }
    }
  }
};

class Pool {
 public:
  void run(Job& job) {
    std::unique_lock<std::mutex> lock(mutex_);
    jobs_.push_back(&job);
    while (threads_ < job.helpers_wanted && threads_ < kMaxThreads) {
      try {
        std::thread([this] { help(); }).detach();
      } catch (const std::system_error&) {
        break;  // no more threads to be had: the caller does the work
      }
      ++threads_;
    }
    lock.unlock();
    for (int i = 0; i < job.helpers_wanted; ++i) wake_.notify_one();
    job.work();
    lock.lock();
    jobs_.remove(&job);  // nobody can join from here on
    while (!job.done.wait_for(lock, kPoll, [&] { return job.helpers_active == 0; })) {
      lock.unlock();  // stop() may need the GIL, and whoever holds that may wait for the pool
      job.control->stop();
      lock.lock();
    }
  }

 private:
  static constexpr int kMaxThreads = 1024;
  static constexpr std::chrono::milliseconds kPoll{50};  // a caller that waits looks for signals this often

  Job* open_job() {
    for (Job* job : jobs_)
      if (job->helpers_active < job->helpers_wanted && job->next.load(std::memory_order_relaxed) < job->count) return job;
    return nullptr;
  }

  void help() {
    std::unique_lock<std::mutex> lock(mutex_);
    for (;;) {
      Job* job = nullptr;
      wake_.wait(lock, [&] { return (job = open_job()) != nullptr; });
      ++job->helpers_active;
      lock.unlock();
      job->work();
      lock.lock();
      if (--job->helpers_active == 0) job->done.notify_one();
      if (job->control->stop()) jobs_.remove(job);  // its tasks are being skipped: do not join again
    }
  }

  std::mutex mutex_;
  std::condition_variable wake_;
  std::list<Job*> jobs_;
  int threads_ = 0;
};

Pool* pool = nullptr;
std::once_flag pool_once;

Pool& the_pool() {
  std::call_once(pool_once, [] {
    pool = new Pool;
    at_fork(nullptr, nullptr, [] { pool = new Pool; });
  });
  return *pool;
}

}  // namespace

int default_threads() {
#if defined(__linux__)
  cpu_set_t set;
  if (sched_getaffinity(0, sizeof set, &set) == 0) return std::max(1, CPU_COUNT(&set));
#endif
  return std::max(1u, std::thread::hardware_concurrency());
}

void parallel(int64_t count, int threads, Control& control, const std::function<void(int64_t)>& task) {
  Job job;
  job.count = count;
  job.helpers_wanted = static_cast<int>(std::min<int64_t>(threads, count)) - 1;
  job.control = &control;
  job.task = &task;
  if (job.helpers_wanted <= 0)
    job.work();
  else
    the_pool().run(job);
  if (job.failure) std::rethrow_exception(job.failure);
}

void parallel_rows(int64_t n, int64_t grain, int threads, Control& control,
                   const std::function<void(int64_t, int64_t)>& task) {
  grain = std::max<int64_t>(1, grain);
  parallel((n + grain - 1) / grain, threads, control,
           [&](int64_t i) { task(i * grain, std::min(n, (i + 1) * grain)); });
}

}  // namespace vecpress
