/** Prints what is stuck on a parcel. */
export type Label = (customer: string, town: string) => string;

const WIDTH = 24;

/** Version 1.0 has a bug that one town in the world brings to light: its name has 57 letters. */
export const labels: Readonly<Record<"1.0" | "1.1", Label>> = {
  "1.0": (customer, town) => `${customer}, ${town}${" ".repeat(WIDTH - town.length)}|`,
  "1.1": (customer, town) => `${customer}, ${town.slice(0, WIDTH).padEnd(WIDTH)}|`,
};
