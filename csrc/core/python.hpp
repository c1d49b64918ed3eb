// Helpers of the bindings. Kernels trust their arguments: vecpress/ops checks them, with better messages than C++ could give; here the
// dtypes and contiguity are enforced again because a wrong pointer would crash.
#pragma once

#include <pybind11/numpy.h>
#include <pybind11/pybind11.h>
#include <pybind11/stl.h>

#include <optional>
#include <stdexcept>
#include <string>

#include "core/control.hpp"
#include "core/gil.hpp"
#include "core/isa.hpp"
#include "core/pool.hpp"
#include "core/registry.hpp"

namespace vecpress {

namespace py = pybind11;

// A C-contiguous array of T, never converted, never copied. A type of its own, for pybind11 passes its base class on by way of two more
// arrays: an empty one, and another view of the one it is given.
template <class T>
struct Array : py::array_t<T, py::array::c_style> {
  using Base = py::array_t<T, py::array::c_style>;
  using Base::Base;
};

// Runs work(threads, control) without the GIL; raises what a signal handler raised (Ctrl-C: KeyboardInterrupt) if it was cut short.
template <class Work>
void run_without_gil(int threads, const Work& work) {
  {
    WithoutGil released;
    Control control([&] { return released.signal_raised(); });
    work(threads > 0 ? threads : default_threads(), control);
  }
  if (PyErr_Occurred()) throw py::error_already_set();
}

// The kernel of operation Op for instruction set number `isa`. Raises if there is none or the processor cannot run it.
template <class Op>
typename Op::Kernel& kernel_of(int isa) {
  if (isa < 0 || isa >= kIsaCount) throw std::invalid_argument("unknown instruction set number " + std::to_string(isa));
  if (const char* missing = isa_missing(static_cast<Isa>(isa)))
    throw std::runtime_error(std::string(isa_name(static_cast<Isa>(isa))) + " cannot run here: " + missing);
  if (Kernels<Op>::registered(static_cast<Isa>(isa))) return Kernels<Op>::of(static_cast<Isa>(isa));
  throw std::runtime_error(std::string("operation ") + Op::name + " has no kernel for " + isa_name(static_cast<Isa>(isa)));
}

inline void expect(bool holds, const char* what) {
  if (!holds) throw std::invalid_argument(what);
}

}  // namespace vecpress

template <class T>
struct pybind11::detail::handle_type_name<vecpress::Array<T>> : handle_type_name<typename vecpress::Array<T>::Base> {};
