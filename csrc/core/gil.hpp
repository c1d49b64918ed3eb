// Working without the GIL, and getting it back also when the interpreter ends meanwhile.
//
// Until Python 3.14, a daemon thread that asks for the GIL at the end of the process is ended by unwinding its stack, which in C++ runs
// into destructors that need the GIL, and std::terminate. Such a thread sleeps here instead until the process has gone, as in later Pythons.
#pragma once

#include <pybind11/pybind11.h>

#if defined(__GLIBCXX__)
#include <cxxabi.h>

#include <chrono>
#include <thread>
#endif

namespace vecpress {

inline void take_gil(PyThreadState* state) {
#if defined(__GLIBCXX__)
  try {
    PyEval_RestoreThread(state);
  } catch (const abi::__forced_unwind&) {
    for (;;) std::this_thread::sleep_for(std::chrono::hours(1));
  }
#else
  PyEval_RestoreThread(state);
#endif
}

// Gives up the GIL until the end of the scope.
class WithoutGil {
 public:
  WithoutGil() : state_(PyEval_SaveThread()) {}
  ~WithoutGil() { take_gil(state_); }
  WithoutGil(const WithoutGil&) = delete;

  // Whether a signal handler raised, on this scope's thread.
  bool signal_raised() {
    take_gil(state_);
    const bool raised = PyErr_CheckSignals() != 0;
    state_ = PyEval_SaveThread();
    return raised;
  }

 private:
  PyThreadState* state_;
};

}  // namespace vecpress
