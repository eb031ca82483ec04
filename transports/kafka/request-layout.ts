/** Where the fields of a request stand, from its size on (https://kafka.apache.org/protocol#protocol_messages). */
export const API_KEY_AT = 4;
export const API_VERSION_AT = 6;
export const REQUEST_ID_AT = 8;
const CLIENT_ID_AT = 12;
/** Before each request and each answer: how many bytes it has. */
export const SIZE_BYTES = 4;

/** Where what is asked begins, behind the name of the client. */
export function bodyAt(request: Buffer): number {
  return endOfText(request, CLIENT_ID_AT);
}

/** Where a text that begins here ends; one that is null has no bytes. */
export function endOfText(request: Buffer, at: number): number {
  return at + 2 + Math.max(0, request.readInt16BE(at));
}

/** Whether the whole head is there. */
export function hasHead(request: Buffer): boolean {
  return request.length > CLIENT_ID_AT;
}
