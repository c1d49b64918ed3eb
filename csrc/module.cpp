// The extension module vecpress._native: the instruction sets, the pool's default, and one function an operation.
#include <pybind11/stl.h>

#include <cstdlib>

#include "core/python.hpp"

namespace vecpress {

#define VECPRESS_BINDINGS(bind)                                                                \
  bind(assign) bind(beam_step) bind(blocks) bind(code_metric) bind(dot) bind(encode_grid)      \
  bind(encode_pq) bind(encode_sq) bind(encode_trellis) bind(trellis)                           \
  bind(flat) bind(hamming) bind(id_table) bind(label_sums) bind(lut4) bind(lut8) bind(norms)   \
  bind(pack_bits) bind(pack_codes) bind(project) bind(quantize) bind(rotate) bind(rwlock) bind(sdc)    \
  bind(search_labels) bind(tables)

#define VECPRESS_DECLARE(name) void bind_##name(py::module_&);
VECPRESS_BINDINGS(VECPRESS_DECLARE)

PYBIND11_MODULE(_native, module) {
  module.doc() = "Compiled kernels of vecpress. Internal: use vecpress.ops.";
  module.def(
      "instruction_sets",
      [] {
        std::vector<std::pair<std::string, std::string>> out;
        for (int i = 0; i < kIsaCount; ++i) {
          const char* missing = isa_missing(static_cast<Isa>(i));
          out.emplace_back(isa_name(static_cast<Isa>(i)), missing ? missing : "");
        }
        return out;
      },
      "Every instruction set, worst first, with what the processor lacks for it (empty if nothing).");
  module.def(
      "operations",
      [](int isa) {
        expect(isa >= 0 && isa < kIsaCount, "unknown instruction set number");
        return registered_operations(static_cast<Isa>(isa));
      },
      py::arg("isa"), "The operations that have a kernel for instruction set number `isa`.");
  module.def("default_threads", &default_threads, "Threads that a call uses when it is given none.");
  module.def(
      "environment",
      [](const char* name) {
        const char* text = std::getenv(name);
        return py::reinterpret_steal<py::str>(PyUnicode_DecodeFSDefault(text ? text : ""));
      },
      py::arg("name"), "What a variable of the environment says now, empty if it is not set; os.environ takes a microsecond to say so.");
#define VECPRESS_BIND(name) bind_##name(module);
  VECPRESS_BINDINGS(VECPRESS_BIND)
}

}  // namespace vecpress
