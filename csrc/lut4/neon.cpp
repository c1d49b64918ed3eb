// Nibble scan with NEON: 16 codes at a time, tables looked up by tbl.
#include "core/target.hpp"
#include "lut4/lut4.hpp"

#if defined(__aarch64__)

namespace vecpress::neon {
namespace {
#include "core/vec_neon.inl"

#include "core/scan.inl"

#include "core/bounds.inl"

#include "core/screen.inl"

#include "core/tiles.inl"

#include "core/table_scan.inl"

#include "lut4/lut4.inl"
}  // namespace
}  // namespace vecpress::neon

namespace vecpress {
static const Register<Lut4> registered(Isa::neon, {neon::scan_lut4, neon::make_screen<16>, neon::screen_bytes<16>, neon::settle<neon::TableSums<16>>});
}  // namespace vecpress

#endif
