// Scan of uncompressed rows with AVX-512: 16 rows a register.
#include "core/target.hpp"
#include "flat/flat.hpp"

#if defined(__x86_64__)

VECPRESS_BEGIN_AVX512
namespace vecpress::avx512 {
namespace {
#include "core/vec_avx512.inl"

#include "core/scan.inl"

#include "flat/flat.inl"
}  // namespace
}  // namespace vecpress::avx512
VECPRESS_END

namespace vecpress {
static const Register<Flat> registered(Isa::avx512, {avx512::scan_flat, nullptr});
}  // namespace vecpress

#endif
