// Nothing is at this address, or the page broke.

import { Button } from "@mantine/core";
import { Link } from "@tanstack/react-router";
import { Empty } from "./empty.tsx";

export function NotFound() {
  return (
    <Empty title="There is nothing here">
      The address may be old, or what it named was deleted.
      <div style={{ marginTop: 14 }}>
        <Button component={Link} to="/boxes" variant="default">
          To the boxes
        </Button>
      </div>
    </Empty>
  );
}

export function Crashed({ error }: { readonly error: unknown }) {
  return (
    <Empty title="This page broke">
      {error instanceof Error ? error.message : String(error)}
      <div style={{ marginTop: 14 }}>
        <Button variant="default" onClick={() => window.location.reload()}>
          Load it again
        </Button>
      </div>
    </Empty>
  );
}
