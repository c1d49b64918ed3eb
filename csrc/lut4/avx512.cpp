// Nibble scan with AVX-512: 64 codes at a time, four tables in a register, looked up by vpermb.
#include "core/target.hpp"
#include "lut4/lut4.hpp"

#if defined(__x86_64__)

VECPRESS_BEGIN_AVX512
namespace vecpress::avx512 {
namespace {
#include "core/vec_avx512.inl"

#include "core/scan.inl"

#include "core/bounds.inl"

#include "core/screen.inl"

#include "core/tiles.inl"

#include "core/table_scan.inl"

#include "lut4/lut4.inl"

#include "lut4/batches.inl"
}  // namespace
}  // namespace vecpress::avx512
VECPRESS_END

namespace vecpress {
static const Register<Lut4> registered(Isa::avx512, {avx512::scan_lut4_batches, avx512::make_screen<16>, avx512::screen_bytes<16>, avx512::settle<avx512::TableSums<16>>});
}  // namespace vecpress

#endif
