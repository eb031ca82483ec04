import { expect, test } from "vitest";
import { compose, type Step } from "../../../src/util/compose.js";
import { settled } from "../../support/until.js";

test("steps go one around the other, the first outermost", async () => {
  const order: string[] = [];
  const step =
    (name: string): Step<string> =>
    async (context, next) => {
      order.push(`${name} ${context}`);
      await next();
      order.push(`/${name}`);
    };
  await compose([step("a"), step("b")], () => void order.push("last"))("x");
  expect(order).toEqual(["a x", "b x", "last", "/b", "/a"]);
});

test("without steps only the last is called, and what it throws is told", async () => {
  await expect(
    compose<string>([], () => {
      throw new Error("no");
    })("x"),
  ).rejects.toThrow("no");
});

test("a step that does not call next ends the road", async () => {
  let reached = false;
  await compose<string>([async () => {}], () => {
    reached = true;
  })("x");
  expect(reached).toBe(false);
});

test("a step may catch what comes after it, and throw what it wants", async () => {
  const fail = (): void => {
    throw new Error("inner");
  };
  await compose<string>([(_, next) => next().catch(() => {})], fail)("x");
  await expect(
    compose<string>(
      [
        async (_, next) => {
          await next().catch(() => {});
          throw new Error("outer");
        },
      ],
      fail,
    )("x"),
  ).rejects.toThrow("outer");
});

test("a second call of next is an error, and runs nothing a second time", async () => {
  let times = 0;
  const twice: Step<string> = async (_, next) => {
    await next();
    await next();
  };
  await expect(compose([twice], () => void times++)("x")).rejects.toThrow("next() twice");
  await expect(compose<string>([(_, next) => Promise.all([next(), next()]).then(() => {})], () => void times++)("x")).rejects.toThrow(
    "next() twice",
  );
  expect(times).toBe(2);
});

test("a step that does not await next is waited for all the same, with what comes of it", async () => {
  let end: ((error?: Error) => void) | undefined;
  const forgetful: Step<string> = async (_, next) => {
    void next();
  };
  const run = compose(
    [forgetful, forgetful],
    () => new Promise<void>((resolve, reject) => (end = (error) => (error ? reject(error) : resolve()))),
  );
  let over = false;
  const running = run("x").finally(() => {
    over = true;
  });
  await settled();
  expect(over).toBe(false);
  end?.();
  await running;
  const failing = run("x");
  await settled();
  end?.(new Error("late"));
  await expect(failing).rejects.toThrow("late");
});

test("a failure that comes while a step does something else first ends the run, and not the process", async () => {
  const unhandled: unknown[] = [];
  const note = (error: unknown): void => void unhandled.push(error);
  process.on("unhandledRejection", note);
  try {
    const failing = async (): Promise<void> => {
      throw new Error("early");
    };
    const forgetful: Step<string> = async (_, next) => {
      void next();
      await settled(3);
    };
    const late: Step<string> = async (_, next) => {
      const rest = next();
      await settled(3);
      await rest;
    };
    await expect(compose([forgetful], failing)("x")).rejects.toThrow("early");
    await expect(compose([late], failing)("x")).rejects.toThrow("early");
    await expect(compose([late, forgetful, late], failing)("x")).rejects.toThrow("early");
    await settled(3);
    expect(unhandled).toEqual([]);
  } finally {
    process.off("unhandledRejection", note);
  }
});

test("a step that looks at a failure may make a success of it", async () => {
  const forgiving: Step<string> = (_, next) => next().catch(() => {});
  const patient: Step<string> = async (_, next) => {
    const [{ status }] = await Promise.allSettled([next()]);
    expect(status).toBe("rejected");
  };
  const failing = async (): Promise<void> => {
    throw new Error("no");
  };
  await compose([forgiving], failing)("x");
  await compose([patient], failing)("x");
});

test("the same steps serve any number of runs at one time", async () => {
  const run = compose<string>([(_, next) => next()], () => settled(2));
  await Promise.all([run("a"), run("b"), run("c")]);
});
