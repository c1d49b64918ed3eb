// The lock of an index (vecpress/rwlock.py says what it promises). It is compiled because Python code may be interrupted by a signal
// between any two steps, and a lock that was taken but not noted, or noted but not taken, would stay taken for ever.
#include <chrono>
#include <condition_variable>
#include <memory>
#include <mutex>
#include <set>

#include "core/fork.hpp"
#include "core/python.hpp"

namespace vecpress {
namespace {

// What one lock knows. Its mutex is held for moments only, and never while waiting for the GIL.
struct State {
  std::mutex mutex;
  std::condition_variable changed;
  int64_t readers = 0, waiting_readers = 0, waiting_writers = 0;
  bool writing = false, changing = false;
  uint64_t round = 0;  // counts the writers that have left
};

class ReadWriteLock {
 public:
  ReadWriteLock();
  ~ReadWriteLock();
  ReadWriteLock(const ReadWriteLock&) = delete;

  void enter_shared() {
    while (!try_shared()) {
    }
  }

  void leave_shared() {
    State& s = *state_;
    const std::lock_guard<std::mutex> lock(s.mutex);
    if (s.readers) stop_reading(s);  // none is left to leave in a child that was forked meanwhile
  }

  void enter_exclusive() {
    while (!try_exclusive()) {
    }
  }

  void leave_exclusive() {
    State& s = *state_;
    const std::lock_guard<std::mutex> lock(s.mutex);
    s.writing = false;
    s.readers += s.waiting_readers;
    s.waiting_readers = 0;
    ++s.round;
    s.changed.notify_all();
  }

  void enter_changing() {
    while (!try_changing()) {
    }
  }

  void leave_changing() {
    State& s = *state_;
    const std::lock_guard<std::mutex> lock(s.mutex);
    s.changing = false;
    s.changed.notify_all();
  }

  // Begins anew, in a forked child. The old state is leaked: its mutex may be locked for ever.
  void forget() { state_ = new State; }

 private:
  // Each waits for its side and takes it; false if the thread finds itself in a forked child, with a new state to wait for.
  bool try_shared() {
    State& s = *state_;
    std::unique_lock<std::mutex> lock(s.mutex);
    if (!s.writing && !s.waiting_writers) {
      ++s.readers;
      return true;
    }
    const uint64_t came_in = s.round;
    ++s.waiting_readers;
    return wait(
        lock, s, [&] { return s.round != came_in || !(s.writing || s.waiting_writers); },
        [&] {
          if (s.round != came_in) return;  // the writer that left has counted us among the readers
          --s.waiting_readers;
          ++s.readers;
        },
        [&] {
          if (s.round == came_in)
            --s.waiting_readers;
          else
            stop_reading(s);
        });
  }

  bool try_exclusive() {
    State& s = *state_;
    std::unique_lock<std::mutex> lock(s.mutex);
    ++s.waiting_writers;
    return wait(
        lock, s, [&] { return !s.writing && !s.readers; },
        [&] {
          --s.waiting_writers;
          s.writing = true;
        },
        [&] {
          --s.waiting_writers;
          s.changed.notify_all();  // those who let us go first need not wait any longer
        });
  }

  bool try_changing() {
    State& s = *state_;
    std::unique_lock<std::mutex> lock(s.mutex);
    return wait(
        lock, s, [&] { return !s.changing; }, [&] { s.changing = true; }, [] {});
  }

  static void stop_reading(State& s) {
    if (--s.readers == 0) s.changed.notify_all();
  }

  // Waits until ready(), then does take(), all under `lock`. If a signal handler raises meanwhile, does give_up() and raises that; if
  // one forks, the child returns false and leaves the old state, whose holders do not exist there, alone.
  template <class Ready, class Take, class GiveUp>
  bool wait(std::unique_lock<std::mutex>& lock, State& s, const Ready& ready, const Take& take, const GiveUp& give_up) {
    if (ready()) {
      take();
      return true;
    }
    for (;;) {
      bool done;
      {
        const WithoutGil released;
        done = s.changed.wait_for(lock, kPoll, ready);
        if (done) take();
        lock.unlock();  // before waiting for the GIL
      }
      if (done) return true;
      const bool raised = PyErr_CheckSignals() != 0;
      const bool forked = state_ != &s;
      if (!forked) lock.lock();
      if (raised) {
        if (!forked) give_up();
        throw py::error_already_set();
      }
      if (forked) return false;
    }
  }

  static constexpr std::chrono::milliseconds kPoll{50};  // who waits looks for signals this often

  State* state_ = new State;
};

// Every lock there is, for the child that fork() makes.
struct Registry {
  std::mutex mutex;
  std::set<ReadWriteLock*> locks;
};

Registry& registry() {
  static Registry* all = [] {
    at_fork([] { registry().mutex.lock(); }, [] { registry().mutex.unlock(); },
            [] {
              for (ReadWriteLock* lock : registry().locks) lock->forget();
              registry().mutex.unlock();
            });
    return new Registry;  // never destroyed: locks may be, at exit
  }();
  return *all;
}

ReadWriteLock::ReadWriteLock() {
  const std::lock_guard<std::mutex> lock(registry().mutex);
  registry().locks.insert(this);
}

ReadWriteLock::~ReadWriteLock() {
  {
    const std::lock_guard<std::mutex> lock(registry().mutex);
    registry().locks.erase(this);
  }
  delete state_;
}

// One way to hold a lock, as a context manager.
struct LockSide {
  std::shared_ptr<ReadWriteLock> lock;
  void (ReadWriteLock::*enter)();
  void (ReadWriteLock::*leave)();
};

}  // namespace

void bind_rwlock(py::module_& module) {
  py::class_<LockSide>(module, "LockSide", "One way to hold a lock, a context manager.")
      .def("__enter__", [](const LockSide& side) { ((*side.lock).*side.enter)(); })
      .def("__exit__", [](const LockSide& side, const py::args&) { ((*side.lock).*side.leave)(); });
  module.def(
      "read_write_lock",
      [] {
        const auto lock = std::make_shared<ReadWriteLock>();
        return std::make_tuple(LockSide{lock, &ReadWriteLock::enter_shared, &ReadWriteLock::leave_shared},
                               LockSide{lock, &ReadWriteLock::enter_exclusive, &ReadWriteLock::leave_exclusive},
                               LockSide{lock, &ReadWriteLock::enter_changing, &ReadWriteLock::leave_changing});
      },
      "A new lock: its sides shared, exclusive and changing.");
}

}  // namespace vecpress
