/** What the title of a describe block carries when its broker is missing; the reason follows it. The reporter reads it there. */
export const MISSING_BROKER = "needs a broker: ";
