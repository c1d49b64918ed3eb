// A table of 16 bytes in a register. Included after the region's vectors.
struct NibbleTable {
  Bytes entries;
  explicit NibbleTable(const uint8_t* p) : entries(Bytes::table16(p)) {}
  Bytes lookup(Bytes places) const { return entries.lookup(places); }
};
