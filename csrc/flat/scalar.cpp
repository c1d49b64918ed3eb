// Scan of uncompressed rows, baseline: fmaf a lane.
#include "core/target.hpp"
#include "flat/flat.hpp"

namespace vecpress::scalar {
namespace {
#include "core/vec_scalar.inl"

#include "core/scan.inl"

#include "flat/flat.inl"
}  // namespace
}  // namespace vecpress::scalar

namespace vecpress {
static const Register<Flat> registered(Isa::scalar, {scalar::scan_flat, nullptr});
}  // namespace vecpress
