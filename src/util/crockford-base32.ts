/** Crockford's alphabet, that of the ULID: https://www.crockford.com/base32.html */
export const ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ";

/** Each ten bits as two characters. */
export const PAIRS: readonly string[] = Array.from({ length: 1024 }, (_, i) => ALPHABET.charAt(i >> 5) + ALPHABET.charAt(i & 31));
