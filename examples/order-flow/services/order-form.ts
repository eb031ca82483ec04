import { z } from "zod";

/** What a customer fills in. */
export const orderForm = z.object({
  customer: z.string().regex(/^[A-Za-z]+$/),
  town: z.string(),
  email: z.string(),
  item: z.string(),
  cents: z.number().int().positive(),
});
export type OrderForm = z.infer<typeof orderForm>;
