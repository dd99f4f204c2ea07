// API tokens: what programs and the CLI show to be let in.

import { IconTicket } from "@tabler/icons-react";
import { useState } from "react";
import { berth, queries } from "../data/berth.ts";
import { newestFirst, useAll } from "../data/pages.ts";
import { Empty } from "../parts/empty.tsx";
import { ListPage } from "../parts/list-card.tsx";
import { TokenDialogs, TokenTable } from "./token-table.tsx";

const refresh = () => queries.invalidateQueries({ queryKey: ["tokens"] });

export function TokensPage() {
  const [isMaking, setMaking] = useState(false);
  const list = useAll(["tokens"], (page) => berth.tokens.list(page), newestFirst);
  return (
    <ListPage
      title="Tokens"
      lead="What programs and the CLI show to be let in. Revoking one also logs out the browsers that logged in with it."
      add={{ label: "New token", open: () => setMaking(true) }}
      list={list}
      find={{
        what: "tokens",
        textOf: ({ id, name, scopes }) => `${id} ${name} ${scopes?.join(" ") ?? ""}`,
      }}
      empty={
        <Empty
          icon={<IconTicket size={34} stroke={1.4} />}
          title="No tokens yet"
          add={{ label: "Create the first one", open: () => setMaking(true) }}
        >
          Create one for a program, or for the CLI on another machine.
        </Empty>
      }
      also={
        <TokenDialogs
          isMaking={isMaking}
          close={() => setMaking(false)}
          make={async (body) => {
            const { token } = await berth.tokens.create(body);
            await refresh();
            return token;
          }}
        />
      }
    >
      {(tokens) => (
        <TokenTable
          tokens={tokens}
          revoke={(token) => berth.tokens.delete(token.id)}
          refresh={refresh}
        />
      )}
    </ListPage>
  );
}
