/** The beginning of `text` that takes at most `maxBytes` bytes of UTF-8, never half a character. Lone surrogates become U+FFFD. */
export function cutToBytes(text: string, maxBytes: number): string {
  const bytes = Buffer.from(text.length > maxBytes ? text.slice(0, maxBytes) : text);
  if (bytes.length <= maxBytes) return bytes.toString();
  let end = maxBytes;
  // A byte of the form 10xxxxxx continues a character: step back to where the character begins.
  while (end > 0 && ((bytes[end] ?? 0) & 0xc0) === 0x80) end--;
  return bytes.toString("utf8", 0, end);
}
