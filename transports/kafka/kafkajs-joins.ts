import type { Socket } from "node:net";
import { API_KEY_AT, API_VERSION_AT, bodyAt, endOfText, hasHead } from "./request-layout.js";

const JOIN_GROUP = 11;
/** From this version on the group's name is followed by two times, and then by the name of the member. */
const JOIN_GROUP_VERSION = 1;
const TIMES_BYTES = 8;

/** Under which name a consumer is a member of its group, which kafkajs tells only of one that has joined. */
export interface Membership {
  /** `undefined` before the group has given it one. */
  memberId: string | undefined;
  /** Whether it waits for the group to share out its partitions, since it last asked to join. */
  isJoining: boolean;
}

/** Notes in `membership` what the consumer asks of its group over the socket. */
export function noteJoins(socket: Socket, membership: Membership): void {
  const write = socket.write.bind(socket) as (data: unknown, ...rest: unknown[]) => boolean;
  const noting = (data: unknown, ...rest: unknown[]): boolean => {
    const memberId = Buffer.isBuffer(data) ? memberThatJoins(data) : undefined;
    if (memberId !== undefined) {
      membership.memberId = memberId || undefined;
      membership.isJoining = true;
    }
    return write(data, ...rest);
  };
  socket.write = noting as Socket["write"];
}

function memberThatJoins(request: Buffer): string | undefined {
  if (!hasHead(request) || request.readInt16BE(API_KEY_AT) !== JOIN_GROUP || request.readInt16BE(API_VERSION_AT) < JOIN_GROUP_VERSION)
    return undefined;
  const nameAt = endOfText(request, bodyAt(request)) + TIMES_BYTES;
  return request.toString("utf8", nameAt + 2, endOfText(request, nameAt));
}
