// Taking the GIL while the interpreter may be ending.
//
// Until Python 3.14, a daemon thread that asks for the GIL at the end of the process is ended by pthread_exit. On glibc that unwinds its
// stack: through destructors that need the GIL to std::terminate, or, where the C++ library has an unwinder of its own, to a crash.
// A cleanup handler in C's form stops the unwinding here, before any frame of C++: the thread sleeps in it, as it would in later Pythons.
// A file of its own, because glibc offers C's form only without exceptions.
#if defined(__linux__)
#undef __EXCEPTIONS
#endif
#include <Python.h>

#if !defined(_WIN32)
#include <pthread.h>
#include <unistd.h>
#endif

namespace vecpress {

void take_gil(PyThreadState* state) {
#if defined(_WIN32)  // threads end there without unwinding
  PyEval_RestoreThread(state);
#else
  pthread_cleanup_push([](void*) { for (;;) pause(); }, nullptr);
  PyEval_RestoreThread(state);
  pthread_cleanup_pop(0);
#endif
}

}  // namespace vecpress
