import { describe, expect, it } from "vitest";
import { formatDuration, parseDuration } from "../../src/administration/iso-duration.js";
import { double, int, long } from "../../src/amqp/values.js";
import { MAX_DURATION } from "../../src/broker/descriptions.js";
import { ServiceBusNamespace } from "../../src/broker/service-bus-namespace.js";
import { applyConfig } from "../../src/config/apply-config.js";
import { ConfigError } from "../../src/config/config-problems.js";
import { readConfig } from "../../src/config/emulator-config.js";

const wrap = (namespace: object): object => ({
  UserConfig: { Namespaces: [{ Name: "sbemulatorns", ...namespace }], Logging: { Type: "File" } },
});

function problemsOf(call: () => unknown): readonly string[] {
  try {
    call();
  } catch (error) {
    if (error instanceof ConfigError) return error.problems;
    throw error;
  }
  return [];
}

/** The example of Microsoft's page "Test locally by using the Azure Service Bus emulator", in short. */
const EXAMPLE = wrap({
  Queues: [
    {
      Name: "queue.1",
      Properties: {
        DeadLetteringOnMessageExpiration: false,
        DefaultMessageTimeToLive: "PT1H",
        DuplicateDetectionHistoryTimeWindow: "PT20S",
        ForwardDeadLetteredMessagesTo: "",
        ForwardTo: "",
        LockDuration: "PT1M",
        MaxDeliveryCount: 3,
        RequiresDuplicateDetection: false,
        RequiresSession: false,
      },
    },
  ],
  Topics: [
    {
      Name: "topic.1",
      Properties: { DefaultMessageTimeToLive: "PT1H", DuplicateDetectionHistoryTimeWindow: "PT20S", RequiresDuplicateDetection: false },
      Subscriptions: [
        {
          Name: "subscription.1",
          Properties: {
            DeadLetteringOnMessageExpiration: false,
            LockDuration: "PT1M",
            MaxDeliveryCount: 3,
            ForwardTo: "",
            RequiresSession: false,
          },
          Rules: [
            {
              Name: "app-prop-filter-1",
              Properties: {
                FilterType: "Correlation",
                CorrelationFilter: {
                  ContentType: "application/text",
                  CorrelationId: "id1",
                  Label: "subject1",
                  MessageId: "msgid1",
                  ReplyTo: "someQueue",
                  ReplyToSessionId: "sessionId",
                  SessionId: "session1",
                  To: "xyz",
                },
              },
            },
          ],
        },
        {
          Name: "subscription.2",
          Rules: [
            {
              Name: "p",
              Properties: {
                FilterType: "Correlation",
                CorrelationFilter: { Properties: { text: "v", n: 5, big: 2 ** 40, d: 1.5, b: true } },
              },
            },
          ],
        },
        { Name: "subscription.3" },
        {
          Name: "subscription.4",
          Rules: [
            {
              Name: "sql-filter-1",
              Properties: {
                FilterType: "Sql",
                SqlFilter: { SqlExpression: "sys.MessageId = '123456' AND userProp1 = 'value1'" },
                Action: { SqlExpression: "SET sys.To = 'Entity'" },
              },
            },
          ],
        },
      ],
    },
  ],
});

describe("Config.json", () => {
  it("makes the entities that Microsoft's example names", () => {
    const namespace = new ServiceBusNamespace();
    const config = readConfig(EXAMPLE);
    applyConfig(namespace, config);
    expect(config.name).toBe("sbemulatorns");
    expect(namespace.findQueue("queue.1")?.description).toMatchObject({
      defaultMessageTimeToLive: 3_600_000,
      duplicateDetectionHistoryTimeWindow: 20_000,
      lockDuration: 60_000,
      maxDeliveryCount: 3,
      forwardTo: undefined,
    });
    const rules = (name: string): object[] => namespace.findSubscription("topic.1", name)?.listRules(0, 9) ?? [];
    expect(rules("subscription.1")).toMatchObject([
      { name: "app-prop-filter-1", filter: { kind: "correlation", correlation: { label: "subject1", to: "xyz", messageId: "msgid1" } } },
    ]);
    const properties = new Map<string, unknown>([
      ["text", "v"],
      ["n", int(5)],
      ["big", long(2n ** 40n)],
      ["d", double(1.5)],
      ["b", true],
    ]);
    expect(rules("subscription.2")).toMatchObject([{ filter: { correlation: { properties } } }]);
    expect(rules("subscription.3")).toMatchObject([{ name: "$Default", filter: { kind: "true" } }]);
    expect(rules("subscription.4")).toMatchObject([{ filter: { kind: "sql" }, action: { expression: "SET sys.To = 'Entity'" } }]);
  });

  it("lets entities forward to ones that are named later", () => {
    const namespace = new ServiceBusNamespace();
    const queues = [{ Name: "a", Properties: { ForwardTo: "b", ForwardDeadLetteredMessagesTo: "t" } }, { Name: "b" }];
    applyConfig(
      namespace,
      readConfig(wrap({ Queues: queues, Topics: [{ Name: "t", Subscriptions: [{ Name: "s", Properties: { ForwardTo: "b" } }] }] })),
    );
    expect(namespace.findQueue("a")?.description).toMatchObject({ forwardTo: "b", forwardDeadLetteredMessagesTo: "t" });
  });

  it("leaves what exists as it is", () => {
    const namespace = new ServiceBusNamespace();
    namespace.createQueue("queue.1", { maxDeliveryCount: 7 });
    applyConfig(namespace, readConfig(EXAMPLE));
    applyConfig(namespace, readConfig(EXAMPLE));
    expect(namespace.findQueue("queue.1")?.description.maxDeliveryCount).toBe(7);
  });

  it("tells everything that is wrong, where it stands and what was meant", () => {
    const problems = problemsOf(() =>
      readConfig(
        wrap({
          Queues: [
            { Name: "q", Properties: { requiresSession: true, LockDuration: "a minute", MaxDeliveryCount: 1.5, RequiresSession: "yes" } },
            {},
          ],
          Topics: [
            { Name: "t", Subscription: [], Subscriptions: [{ Name: "s", Rules: [{ Name: "r", Properties: { FilterType: "JMS" } }] }] },
          ],
        }),
      ),
    );
    expect(problems).toEqual([
      'Queues["q"].Properties: there is no "requiresSession"; did you mean "RequiresSession"?',
      'Queues["q"].Properties.LockDuration: "a minute" is not an ISO 8601 duration such as "PT1M".',
      'Queues["q"].Properties.RequiresSession: "yes" is not true or false.',
      'Queues["q"].Properties.MaxDeliveryCount: 1.5 is not a whole number.',
      "Queues[1].Name: a text was expected, not nothing.",
      'Topics[0]: there is no "Subscription"; did you mean "Subscriptions"?',
      'Topics["t"].Subscriptions["s"].Rules["r"].Properties.FilterType: "JMS" is neither "Correlation" nor "Sql".',
      'Topics["t"].Subscriptions["s"].Rules["r"].Properties.CorrelationFilter: it has no condition.',
    ]);
  });

  it("tells what the broker refuses", () => {
    const config = readConfig(
      wrap({
        Queues: [{ Name: "a", Properties: { ForwardTo: "nowhere" } }, { Name: "b", Properties: { LockDuration: "PT10M" } }, { Name: "-" }],
        Topics: [
          {
            Name: "t",
            Subscriptions: [{ Name: "s", Rules: [{ Name: "r", Properties: { FilterType: "Sql", SqlFilter: { SqlExpression: "a ==" } } }] }],
          },
        ],
      }),
    );
    const problems = problemsOf(() => applyConfig(new ServiceBusNamespace(), config));
    expect(problems).toHaveLength(4);
    expect(problems.join("\n")).toMatch(
      /LockDuration is 600000.*\n.*'-' is not the name.*\n.*destination entity 'nowhere' does not exist.*\n.*rule 'r' is not valid/,
    );
  });

  it("is refused when it is something else", () => {
    expect(problemsOf(() => readConfig([]))[0]).toContain("an object was expected");
    expect(problemsOf(() => readConfig({ UserConfig: { Namespaces: [{}, {}] } }))[0]).toContain("2 namespaces");
    expect(problemsOf(() => readConfig({}))[0]).toContain('"UserConfig" is missing');
  });
});

describe("A duration of ISO 8601", () => {
  it.each([
    ["PT1M", 60_000],
    ["PT0S", 0],
    ["PT60S", 60_000],
    ["P1DT2H3M4.5S", 93_784_500],
    ["P2W", 1_209_600_000],
    ["PT0.25S", 250],
    ["P10675199DT2H48M5.4775807S", MAX_DURATION],
    ["P99999999D", MAX_DURATION],
  ])("%s is %d ms", (text, milliseconds) => {
    expect(parseDuration(text)).toBe(milliseconds);
  });

  it.each(["", "P", "PT", "P1DT", "1M", "PT1", "P1Y", "P1M", "-PT1M", "PT1M1H", "00:01:00"])("'%s' is none", (text) => {
    expect(parseDuration(text)).toBeUndefined();
  });

  it.each(["PT1M", "PT0S", "P1D", "P1DT2H3M4.5S", "PT1H30M", "PT0.25S", "P10675199DT2H48M5.4775807S"])(
    "is written as .NET does: %s",
    (text) => {
      expect(formatDuration(parseDuration(text) ?? -1)).toBe(text);
    },
  );
});
