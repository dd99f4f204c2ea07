// In which organization one is, and the others that one belongs to.

import { Menu, Modal } from "@mantine/core";
import { IconCheck, IconSelector } from "@tabler/icons-react";
import { useQuery } from "@tanstack/react-query";
import { useState } from "react";
import { berth, wordsOf } from "../data/berth.ts";
import { useWho } from "../data/me.ts";
import { goToOrg } from "../data/orgs.ts";
import frame from "../frame.module.css";

export function OrgSwitch() {
  const who = useWho();
  const orgs = useQuery({ queryKey: ["orgs"], queryFn: () => berth.orgs.list() });
  const [why, setWhy] = useState<{ readonly org: string; readonly words: string } | null>(null);
  const items = orgs.data?.items ?? [];
  const go = async (id: string, name: string) => {
    try {
      await goToOrg(id);
      // A new page: nothing of the other organization's is left in memory.
      window.location.assign("/boxes");
    } catch (error) {
      setWhy({ org: name, words: wordsOf(error) });
    }
  };
  if (!who) return null;
  if (items.length < 2)
    return (
      <div className={frame.org} title="The organization that you are in">
        <span>{who.org.name}</span>
      </div>
    );
  return (
    <>
      <Menu position="bottom-start" width={190} shadow="md">
        <Menu.Target>
          <button type="button" className={frame.org} aria-label={`Organization: ${who.org.name}`}>
            <span>{who.org.name}</span>
            <IconSelector size={14} />
          </button>
        </Menu.Target>
        <Menu.Dropdown>
          <Menu.Label>Your organizations</Menu.Label>
          {items.map(({ id, name, isCurrent }) => (
            <Menu.Item
              key={id}
              disabled={isCurrent}
              rightSection={isCurrent ? <IconCheck size={14} /> : null}
              onClick={() => void go(id, name)}
            >
              {name}
            </Menu.Item>
          ))}
        </Menu.Dropdown>
      </Menu>
      <Modal
        opened={why !== null}
        onClose={() => setWhy(null)}
        title={`You are still in ${who.org.name}`}
        size="sm"
      >
        <p style={{ margin: 0 }}>{why?.words}</p>
        <p style={{ marginBottom: 0 }}>
          To go to {why?.org}: log out, and log in with a token of that organization or by its
          sign-in.
        </p>
      </Modal>
    </>
  );
}
