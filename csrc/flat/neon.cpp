// Scan of uncompressed rows with NEON: 4 rows a register.
#include "core/target.hpp"
#include "flat/flat.hpp"

#if defined(__aarch64__)

namespace vecpress::neon {
namespace {
#include "core/vec_neon.inl"

#include "core/scan.inl"

#include "flat/flat.inl"
}  // namespace
}  // namespace vecpress::neon

namespace vecpress {
static const Register<Flat> registered(Isa::neon, {neon::scan_flat, nullptr});
}  // namespace vecpress

#endif
