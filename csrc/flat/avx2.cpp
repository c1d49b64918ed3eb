// Scan of uncompressed rows with AVX2 and F16C: 8 rows a register.
#include "core/target.hpp"
#include "flat/flat.hpp"

#if defined(__x86_64__)

VECPRESS_BEGIN_AVX2
namespace vecpress::avx2 {
namespace {
#include "core/vec_avx2.inl"

#include "core/scan.inl"

#include "flat/flat.inl"
}  // namespace
}  // namespace vecpress::avx2
VECPRESS_END

namespace vecpress {
static const Register<Flat> registered(Isa::avx2, {avx2::scan_flat, nullptr});
}  // namespace vecpress

#endif
