// Templates: what boxes are made from.

import { IconStack2 } from "@tabler/icons-react";
import { useQuery } from "@tanstack/react-query";
import { Link } from "@tanstack/react-router";
import { berth } from "../data/berth.ts";
import { Empty, Failed, Loading } from "../parts/empty.tsx";
import { Card, Page } from "../parts/page.tsx";
import css from "../parts/parts.module.css";
import { Ago } from "../parts/when.tsx";
import { VersionState } from "./version-state.tsx";

export function TemplatesPage() {
  const list = useQuery({
    queryKey: ["templates"],
    queryFn: () => berth.templates.list({ limit: 200 }),
  });
  const items = list.data?.items ?? [];
  return (
    <Page
      title="Templates"
      lead="A template describes an environment. It is set up once and frozen; boxes are made from that in about a second."
    >
      <Card>
        {list.isPending ? <Loading rows={4} /> : null}
        {list.error ? <Failed error={list.error} retry={() => void list.refetch()} /> : null}
        {list.data && items.length === 0 ? (
          <Empty icon={<IconStack2 size={34} stroke={1.4} />} title="No templates yet">
            Write one as a file, then <code>berth template build FILE</code>.
          </Empty>
        ) : null}
        {items.length > 0 ? (
          <table className={css.table}>
            <thead>
              <tr>
                <th>Name</th>
                <th>Used for new boxes</th>
                <th>Newest version</th>
                <th>Created</th>
              </tr>
            </thead>
            <tbody>
              {items.map((template) => (
                <tr key={template.id}>
                  <td>
                    <Link
                      className={css.link}
                      to="/templates/$template"
                      params={{ template: template.name }}
                    >
                      {template.name}
                    </Link>
                  </td>
                  <td>{template.ready ? `v${template.ready.version}` : "none is ready"}</td>
                  <td>{template.latest ? <VersionState version={template.latest} /> : "–"}</td>
                  <td className={css.dim}>
                    <Ago at={template.createdAt} />
                  </td>
                </tr>
              ))}
            </tbody>
          </table>
        ) : null}
      </Card>
    </Page>
  );
}
