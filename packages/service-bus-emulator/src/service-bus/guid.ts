/**
 * The same UUID in the other of its two orders: as RFC 4122 has it, or as .NET's Guid lays out its first three fields
 * (little endian), which is how Service Bus puts lock tokens into delivery tags.
 */
export function swapGuidOrder(bytes: Buffer): Buffer {
  const swapped = Buffer.from(bytes);
  swapped.subarray(0, 4).reverse();
  swapped.subarray(4, 6).reverse();
  swapped.subarray(6, 8).reverse();
  return swapped;
}
