// Working without the GIL, and getting it back also when the interpreter ends meanwhile.
#pragma once

#include <pybind11/pybind11.h>

namespace vecpress {

// As PyEval_RestoreThread; a thread that may not have the GIL any more, because the process ends, sleeps until it has ended.
void take_gil(PyThreadState* state);

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
