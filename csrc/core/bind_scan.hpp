// Binds a scan: the arguments of vecpress/ops/scan.py, the same for all scans but for the query operand.
#pragma once

#include <tuple>

#include "core/python.hpp"
#include "core/scan.hpp"

namespace vecpress {

using Layout = std::tuple<int64_t, int64_t, int64_t, int64_t>;                               // n, code_size, head, stride
using FactorArgument = std::tuple<int, int64_t, float, std::optional<Array<float>>>;         // kind, offset, value, table

inline Factor make_factor(const FactorArgument& argument, int64_t code_size) {
  static const int64_t widths[] = {0, 2, 4, 1, 2, 2, 4, 2};
  const auto& [kind, offset, value, table] = argument;
  expect(kind >= 0 && kind <= Factor::u2_square && offset >= 0 && offset + widths[kind] <= code_size, "factor outside the code");
  expect(kind != Factor::u1 || (table && table->size() == 256), "factor table expected 256 entries");
  return {static_cast<Factor::Kind>(kind), offset, value, table ? table->data() : nullptr};
}

struct ScanArguments {
  Array<float> scores;
  Array<int64_t> found;
  Array<uint8_t> blocks;
  Layout layout;
  std::optional<Array<int64_t>> ids;
  std::optional<Array<uint64_t>> allow;
  FactorArgument scale, bias;
  Array<float> constant;
  int threads;
};

// Completes `scan` (whose operand, m, entries, group and l2 are set) and runs it. operand_size: elements that the operand must have.
template <class Op>
void call_scan(int isa, Scan scan, ScanArguments& a) {
  const ScanKernel& kernel = kernel_of<Op>(isa);
  std::tie(scan.n, scan.code_size, scan.head, scan.stride) = a.layout;
  scan.payload = scan.code_size - scan.head;
  scan.nq = a.scores.shape(0);
  scan.k = a.scores.shape(1);
  const int64_t blocks = (scan.n + kBlock - 1) / kBlock;
  expect(scan.n >= 0 && scan.head >= 0 && scan.payload >= 0, "layout expected sizes of at least 0");
  expect(scan.stride >= scan.code_size, "layout expected a stride of at least code_size");
  expect(a.blocks.size() >= blocks * scan.stride * kBlock, "blocks too small for n rows");
  expect(a.found.ndim() == 2 && a.found.shape(0) == scan.nq && a.found.shape(1) == scan.k, "results differ in shape");
  expect(a.constant.size() == scan.nq && scan.k >= 1, "constant expected one number a query, k at least 1");
  expect(!a.ids || a.ids->size() == scan.n, "ids expected one a row");
  expect(!a.allow || a.allow->size() == blocks, "allow expected one word a block");
  scan.blocks = a.blocks.data();
  scan.ids = a.ids ? a.ids->data() : nullptr;
  scan.allow = a.allow ? a.allow->data() : nullptr;
  scan.scale = make_factor(a.scale, scan.code_size);
  scan.bias = make_factor(a.bias, scan.code_size);
  scan.constant = a.constant.data();
  float* scores = a.scores.mutable_data();
  int64_t* found = a.found.mutable_data();
  run_without_gil(a.threads, [&](int threads, Control& control) { run_scan(scan, kernel, threads, control, scores, found); });
}

// Binds the scan Op whose query operand, an array of T, is called `operand`. prepare(operand, payload bytes) checks it and returns a
// Scan with the operand, m and entries.
template <class Op, class T, class Prepare>
void bind_scan(py::module_& module, const char* operand, Prepare prepare) {
  module.def(
      Op::name,
      [prepare](int isa, Array<float> scores, Array<int64_t> found, Array<uint8_t> blocks, Layout layout, Array<T> queries,
                std::optional<Array<int64_t>> ids, std::optional<Array<uint64_t>> allow, FactorArgument scale,
                FactorArgument bias, Array<float> constant, int num_threads) {
        expect(queries.ndim() >= 2 && scores.ndim() == 2 && queries.shape(0) == scores.shape(0), "one row of results a query");
        const Scan scan = prepare(queries, std::get<1>(layout) - std::get<2>(layout));
        ScanArguments arguments{scores, found, blocks, layout, ids, allow, scale, bias, constant, num_threads};
        call_scan<Op>(isa, scan, arguments);
      },
      py::arg("isa"), py::arg("scores").noconvert(), py::arg("found").noconvert(), py::arg("blocks").noconvert(),
      py::arg("layout"), py::arg(operand).noconvert(), py::arg("ids").noconvert(), py::arg("allow").noconvert(),
      py::arg("scale"), py::arg("bias"), py::arg("constant").noconvert(), py::arg("num_threads"));
}

}  // namespace vecpress
