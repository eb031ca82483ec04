import type { DeduplicationOptions, EndpointOptions, ErrorClass, RetryOptions } from "../contracts/endpoint-options.js";
import { parseDuration } from "../util/duration.js";
import type { Mistakes } from "../util/mistakes.js";
import { isOptionsObject } from "../util/options-object.js";
import * as defaults from "./defaults.js";
import { show } from "./show.js";

/** How often and when a failed message runs again; resolved. */
export interface RetrySettings {
  readonly immediate: number;
  readonly immediateDelayMs: number;
  readonly delaysMs: readonly number[];
  readonly giveUpOn: readonly (ErrorClass | ((error: unknown) => boolean))[];
}

/** {@link EndpointOptions} with every default filled in. */
export interface EndpointSettings {
  readonly concurrency: number;
  readonly prefetch: number;
  readonly order: "key" | "none";
  readonly retry: RetrySettings;
  readonly handlerTimeoutMs: number;
  /** `undefined`: switched off. */
  readonly deduplication: { readonly windowMs: number } | undefined;
}

const RETRY_KEYS: readonly (keyof RetryOptions)[] = ["immediate", "immediateDelay", "delays", "giveUpOn"];
const DEDUPLICATION_KEYS: readonly (keyof DeduplicationOptions)[] = ["window"];
/** The options that bus and endpoint share. */
export const SHARED_KEYS: readonly Exclude<keyof EndpointOptions, "order">[] = [
  "concurrency",
  "prefetch",
  "retry",
  "handlerTimeout",
  "deduplication",
];
const ENDPOINT_KEYS: readonly (keyof EndpointOptions)[] = [...SHARED_KEYS, "order"];

/** Notes what is wrong with the options of one endpoint (`where` names it) or, without `order`, of the bus. */
export function checkEndpointOptions(where: string, options: EndpointOptions, mistakes: Mistakes): void {
  mistakes.unknownKeys(where, options, ENDPOINT_KEYS);
  checkShared(where, options, mistakes);
  if (options.order !== undefined && options.order !== "key" && options.order !== "none") {
    mistakes.add(`${where}: order is ${show(options.order)}; it is "key" or "none".`);
  }
}

/** Notes what is wrong with those options that a bus gives to all its endpoints. */
export function checkShared(where: string, options: EndpointOptions, mistakes: Mistakes): void {
  wholeNumber(where, "concurrency", options.concurrency, 1, mistakes);
  wholeNumber(where, "prefetch", options.prefetch, 1, mistakes);
  duration(where, "handlerTimeout", options.handlerTimeout, 1, mistakes);
  if (isGiven(where, "retry", options.retry, mistakes)) {
    const { retry } = options;
    mistakes.unknownKeys(`${where}: retry`, retry, RETRY_KEYS);
    wholeNumber(where, "retry.immediate", retry.immediate, 0, mistakes);
    duration(where, "retry.immediateDelay", retry.immediateDelay, 0, mistakes);
    checkDelays(where, retry.delays, mistakes);
    if (retry.giveUpOn !== undefined && !(Array.isArray(retry.giveUpOn) && retry.giveUpOn.every((entry) => typeof entry === "function"))) {
      mistakes.add(
        `${where}: retry.giveUpOn is a list of error classes, or of functions that are given the error and answer true to give up.`,
      );
    }
  }
  if (isGiven(where, "deduplication", options.deduplication, mistakes)) {
    mistakes.unknownKeys(`${where}: deduplication`, options.deduplication, DEDUPLICATION_KEYS);
    duration(where, "deduplication.window", options.deduplication.window, 1, mistakes);
  }
}

function checkDelays(where: string, delays: unknown, mistakes: Mistakes): void {
  if (delays === undefined) return;
  if (!Array.isArray(delays)) {
    mistakes.add(`${where}: retry.delays is ${show(delays)}; it is a list of durations such as ["10s", "1m"].`);
    return;
  }
  for (const entry of delays) {
    const ms = parseDuration(entry);
    if (ms === undefined || !Number.isInteger(ms) || ms < 1 || ms > defaults.LONGEST_DELAY_MS) {
      mistakes.add(`${where}: retry.delays has ${show(entry)}; each is whole milliseconds or text such as "10s", from 1 ms to 7 days.`);
    }
  }
}

/** Resolves an endpoint's options over those of the bus; both have been checked. `windowMs`: the store's own default. */
export function resolveEndpointSettings(own: EndpointOptions, shared: EndpointOptions, windowMs: number): EndpointSettings {
  const concurrency = own.concurrency ?? shared.concurrency ?? defaults.CONCURRENCY;
  return {
    concurrency,
    prefetch: own.prefetch ?? shared.prefetch ?? defaults.PREFETCH_FACTOR * concurrency,
    order: own.order ?? "none",
    retry: resolveRetry(own.retry, shared.retry),
    handlerTimeoutMs: ms(own.handlerTimeout ?? shared.handlerTimeout, defaults.HANDLER_TIMEOUT_MS),
    deduplication: resolveDeduplication(own.deduplication, shared.deduplication, windowMs),
  };
}

function resolveRetry(own: EndpointOptions["retry"], shared: EndpointOptions["retry"]): RetrySettings {
  if (own === false || (own === undefined && shared === false)) {
    return { immediate: 0, immediateDelayMs: 0, delaysMs: [], giveUpOn: [] };
  }
  // Not by spreading one over the other: an `undefined` of the endpoint's would hide what the bus says.
  const otherwise: RetryOptions = shared || {};
  return {
    immediate: own?.immediate ?? otherwise.immediate ?? defaults.IMMEDIATE_RETRIES,
    immediateDelayMs: ms(own?.immediateDelay ?? otherwise.immediateDelay, defaults.IMMEDIATE_DELAY_MS),
    delaysMs: (own?.delays ?? otherwise.delays)?.map((entry) => ms(entry, 0)) ?? defaults.DELAYED_RETRIES_MS,
    giveUpOn: own?.giveUpOn ?? otherwise.giveUpOn ?? [],
  };
}

function resolveDeduplication(
  own: EndpointOptions["deduplication"],
  shared: EndpointOptions["deduplication"],
  windowMs: number,
): EndpointSettings["deduplication"] {
  if (own === false || (own === undefined && shared === false)) return undefined;
  const otherwise: DeduplicationOptions = shared || {};
  return { windowMs: ms(own?.window ?? otherwise.window, windowMs) };
}

const ms = (value: unknown, otherwise: number): number => (value === undefined ? otherwise : (parseDuration(value) ?? otherwise));

function isGiven<T extends object>(where: string, name: string, value: T | false | undefined, mistakes: Mistakes): value is T {
  if (value === undefined || value === false) return false;
  if (isOptionsObject(value)) return true;
  mistakes.add(`${where}: ${name} is ${show(value)}; it is an object, or false for none.`);
  return false;
}

/** Notes when `value` is given and not a whole number from `least` on. */
export function wholeNumber(where: string, name: string, value: unknown, least: number, mistakes: Mistakes): void {
  if (value === undefined) return;
  if (!Number.isSafeInteger(value) || (value as number) < least)
    mistakes.add(`${where}: ${name} is ${show(value)}; it is a whole number from ${least} on.`);
}

/** Notes when `value` is given and not a duration of at least `leastMs` milliseconds. */
export function duration(where: string, name: string, value: unknown, leastMs: number, mistakes: Mistakes): void {
  if (value === undefined) return;
  const parsed = parseDuration(value);
  if (parsed === undefined || parsed < leastMs || parsed > defaults.LONGEST_TIME_MS) {
    mistakes.add(
      `${where}: ${name} is ${show(value)}; it is milliseconds or text such as "250ms", "10s", "5m", "2h", "7d", and at most 24 days.`,
    );
  }
}
