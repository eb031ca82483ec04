import type { MessageClass, MessageOf } from "./message-class.js";
import type { InputOf, Schema } from "./schema.js";

/** A branded one too, whose methods must not be taken for fields. */
type Primitive = string | number | boolean | null | undefined;

type NotWire =
  | Date
  | RegExp
  | { readonly size: number; has(key: never): boolean }
  | ArrayBuffer
  | ArrayBufferView
  | Promise<unknown>
  | bigint
  | symbol;

/** Paths of `T` that come off the wire as something else than their type says; `never` when there are none. */
type Unsafe<T, Path extends string = "", Depth extends 0[] = []> = Depth["length"] extends 6
  ? never
  : unknown extends T
    ? never
    : T extends Primitive
      ? never
      : T extends NotWire
        ? Path
        : T extends readonly (infer E)[]
          ? Unsafe<E, `${Path}[]`, [...Depth, 0]>
          : T extends (...args: never[]) => unknown
            ? Depth["length"] extends 0 | 1
              ? never
              : Path
            : T extends object
              ? { [K in keyof T & string]: Unsafe<T[K], Path extends "" ? K : `${Path}.${K}`, [...Depth, 0]> }[keyof T & string]
              : never;

export type WireSafeSchema<S extends Schema> = [Unsafe<InputOf<S>>] extends [never]
  ? unknown
  : { "this field does not come off the wire as this type; let the schema make it from text": Unsafe<InputOf<S>> };

/** A class may be received when all its fields are JSON, or when it says how to read them (`static fromWire`). */
export type Receivable<C extends MessageClass> = [UnreadableField<C>] extends [never]
  ? unknown
  : { "this field does not come off the wire as its type says; give the class a static fromWire()": UnreadableField<C> };

type UnreadableField<C extends MessageClass> = C extends { readonly fromWire: (data: unknown) => object } ? never : Unsafe<MessageOf<C>>;

/** Catches `publish(OrderPlaced)` where `publish(new OrderPlaced(...))` was meant, and arrays. */
export type Instance<T extends object> = T extends abstract new (
  ...args: never[]
) => unknown
  ? { "publish an instance: new X(...), not the class X": never }
  : T extends readonly unknown[]
    ? { "publish one message at a time: await Promise.all(messages.map((m) => bus.publish(m)))": never }
    : T extends (...args: never[]) => unknown
      ? { "a function is not a message": never }
      : unknown;
