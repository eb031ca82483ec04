import { MAX_DURATION } from "../broker/descriptions.js";

const DURATION = /^P(?:(\d+)W)?(?:(\d+)D)?(?:T(?:(\d+)H)?(?:(\d+)M)?(?:(\d+(?:\.\d+)?)S)?)?$/;
const NEVER = "P10675199DT2H48M5.4775807S";

/**
 * Milliseconds of an ISO 8601 duration of weeks, days, hours, minutes and seconds; at most {@link MAX_DURATION}. `undefined` when it is none
 * (years and months are none: they have no length).
 */
export function parseDuration(text: string): number | undefined {
  const parts = DURATION.exec(text.trim());
  if (!parts || /P$|T$/.test(text.trim())) return undefined;
  const [weeks, days, hours, minutes, seconds] = parts.slice(1).map((part) => Number(part ?? 0)) as [
    number,
    number,
    number,
    number,
    number,
  ];
  const total = ((((weeks * 7 + days) * 24 + hours) * 60 + minutes) * 60 + seconds) * 1000;
  return Math.min(Math.round(total), MAX_DURATION);
}

/** As .NET writes a TimeSpan: "P1DT2H3M4.5S", "PT0S". */
export function formatDuration(milliseconds: number): string {
  if (milliseconds >= MAX_DURATION) return NEVER;
  const days = Math.floor(milliseconds / 86_400_000);
  const hours = Math.floor(milliseconds / 3_600_000) % 24;
  const minutes = Math.floor(milliseconds / 60_000) % 60;
  const seconds = (milliseconds % 60_000) / 1000;
  const time = `${hours > 0 ? `${hours}H` : ""}${minutes > 0 ? `${minutes}M` : ""}${seconds > 0 ? `${seconds}S` : ""}`;
  if (days === 0 && time === "") return "PT0S";
  return `P${days > 0 ? `${days}D` : ""}${time === "" ? "" : `T${time}`}`;
}
