// Nibble scan with AVX2: 32 codes at a time, tables looked up by vpshufb.
#include "core/target.hpp"
#include "lut4/lut4.hpp"

#if defined(__x86_64__)

VECPRESS_BEGIN_AVX2
namespace vecpress::avx2 {
namespace {
#include "core/vec_avx2.inl"

#include "core/scan.inl"

#include "core/bounds.inl"

#include "core/screen.inl"

#include "core/tiles.inl"

#include "core/table_scan.inl"

#include "lut4/lut4.inl"
}  // namespace
}  // namespace vecpress::avx2
VECPRESS_END

namespace vecpress {
static const Register<Lut4> registered(Isa::avx2, {avx2::scan_lut4, avx2::make_screen<16>, avx2::screen_bytes<16>, avx2::settle<avx2::TableSums<16>>});
}  // namespace vecpress

#endif
