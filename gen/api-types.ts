// Printed by tools/gen.ts from gen/openapi.json. Do not edit.

export interface paths {
    "/v1/audit": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** List and search the audit trail */
        get: operations["audit.list"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/v1/audit/export": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /**
         * Export the chain as JSON Lines
         * @description The anchor (if retention removed anything), every entry with its seal, and the signed head of the moment at which the export began. `berth audit verify` checks it.
         */
        get: operations["audit.export"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/v1/audit/head": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** Show the signed head of the chain */
        get: operations["audit.head"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/v1/audit/policy": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** Show for how long the trail is kept */
        get: operations["audit.getPolicy"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        /** Change for how long the trail is kept */
        patch: operations["audit.updatePolicy"];
        trace?: never;
    };
    "/v1/audit/watch": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /**
         * Follow the audit trail
         * @description Entries as they are sealed, in the order of the chain.
         */
        get: operations["audit.watch"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/v1/boxes": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** List boxes */
        get: operations["boxes.list"];
        put?: never;
        /**
         * Create a box
         * @description Restores the template's prebuild; a template without one boots.
         */
        post: operations["boxes.create"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/v1/boxes/{box}": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /**
         * Show a box
         * @description The answer's ETag is its generation.
         */
        get: operations["boxes.get"];
        put?: never;
        post?: never;
        /**
         * Delete a box
         * @description Accepted in every state; it never comes back.
         */
        delete: operations["boxes.delete"];
        options?: never;
        head?: never;
        /** Hand a box over to another owner or team */
        patch: operations["boxes.update"];
        trace?: never;
    };
    "/v1/boxes/{box}/checkpoints": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /**
         * Checkpoint a box
         * @description A snapshot that is kept until deleted; the box goes on.
         */
        post: operations["checkpoints.create"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/v1/boxes/{box}/fork": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /**
         * Fork a box
         * @description Copies of a running, paused or stopped box, each with an identity of its own.
         */
        post: operations["boxes.fork"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/v1/boxes/{box}/pause": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /**
         * Pause a box
         * @description Freezes memory, devices and disks at one instant and frees the compute.
         */
        post: operations["boxes.pause"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/v1/boxes/{box}/previews": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /**
         * Open a preview of a port
         * @description The one that is open already, when there is one. Only for the box's owner.
         */
        post: operations["previews.open"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/v1/boxes/{box}/restart": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /**
         * Restart a box
         * @description Shuts down and boots again.
         */
        post: operations["boxes.restart"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/v1/boxes/{box}/restore": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /**
         * Go back to a checkpoint
         * @description The state that it replaces is kept as a checkpoint.
         */
        post: operations["checkpoints.restore"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/v1/boxes/{box}/resume": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /**
         * Resume a paused box
         * @description Every process goes on where it was. Refused when the box is not paused.
         */
        post: operations["boxes.resume"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/v1/boxes/{box}/shares": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** List with whom a box is shared */
        get: operations["shares.list"];
        put?: never;
        /**
         * Share a box with a member or a team
         * @description One role for each; another one replaces it.
         */
        post: operations["shares.create"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/v1/boxes/{box}/shares/{share}": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        post?: never;
        /**
         * Take a share back, or give up one's own
         * @description What was opened by it ends within seconds.
         */
        delete: operations["shares.delete"];
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/v1/boxes/{box}/ssh-certificates": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /**
         * Sign an SSH key for a box
         * @description The certificate lasts minutes: long enough to log in, and a session outlives it.
         */
        post: operations["access.sshCertificate"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/v1/boxes/{box}/start": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /**
         * Start a box
         * @description From its snapshot when it is paused (processes go on), else by booting its disks.
         */
        post: operations["boxes.start"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/v1/boxes/{box}/stop": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /**
         * Stop a box
         * @description Flushes and keeps its disks and frees everything else; the next start boots.
         */
        post: operations["boxes.stop"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/v1/boxes/{box}/tickets": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /** Get a ticket for streams into a box */
        post: operations["access.ticket"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/v1/boxes/{box}/wait": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /**
         * Wait until a box reaches a goal
         * @description Answers at once when it is reached or hopeless, else when the time is over.
         */
        get: operations["boxes.wait"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/v1/budgets": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /**
         * List budgets
         * @description All with the permission usage.read; else those of one's teams.
         */
        get: operations["budgets.list"];
        put?: never;
        /**
         * Set the budget of the organization or of a team
         * @description There is one for each. Raising it lifts what it has closed at once.
         */
        post: operations["budgets.set"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/v1/budgets/{budget}": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        post?: never;
        /** Delete a budget */
        delete: operations["budgets.delete"];
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/v1/events": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** List events */
        get: operations["events.list"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/v1/installation/orgs": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** List every organization of the installation */
        get: operations["orgs.listAll"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/v1/invitations": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** List invitations that can still be taken */
        get: operations["invitations.list"];
        put?: never;
        /** Invite somebody */
        post: operations["invitations.create"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/v1/invitations/{invitation}": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        post?: never;
        /** Take an invitation back */
        delete: operations["invitations.delete"];
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/v1/invitations/accept": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /** Join an organization that I was invited to */
        post: operations["invitations.accept"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/v1/invitations/register": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /**
         * Join as a new user, without a provider
         * @description Answers with a token of the new user's. For invitations that name no address.
         */
        post: operations["invitations.register"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/v1/members": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** List members */
        get: operations["members.list"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/v1/members/{member}": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** Show a member */
        get: operations["members.get"];
        put?: never;
        post?: never;
        /**
         * Remove a member, or leave
         * @description Ends all that they have open here within seconds. Their boxes stay.
         */
        delete: operations["members.remove"];
        options?: never;
        head?: never;
        /**
         * Set the roles of a member
         * @description Nobody gives or takes a role that has more than they have themselves.
         */
        patch: operations["members.update"];
        trace?: never;
    };
    "/v1/nodes": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** List nodes */
        get: operations["nodes.list"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/v1/nodes/{node}": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** Show a node */
        get: operations["nodes.get"];
        put?: never;
        post?: never;
        /**
         * Remove a node that will not come back
         * @description Its boxes start elsewhere from what is durable; what was only on it is lost, and they say so.
         */
        delete: operations["nodes.delete"];
        options?: never;
        head?: never;
        /** Keep new boxes away from a node or let them in; set how much it may promise */
        patch: operations["nodes.update"];
        trace?: never;
    };
    "/v1/nodes/{node}/drain": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /**
         * Bring the boxes of a node to rest
         * @description Pauses those of every organization, and ends builds of templates. Ask again until nothing is left; a node that takes new boxes (see `schedulable`) may get more meanwhile.
         */
        post: operations["nodes.drain"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/v1/nodes/join-tokens": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /** Make a token that lets one node join */
        post: operations["nodes.createJoinToken"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/v1/operations/{operation}": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** Show an operation */
        get: operations["operations.get"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/v1/org": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** Show my organization */
        get: operations["org.get"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        /** Change the name or the rules of my organization */
        patch: operations["org.update"];
        trace?: never;
    };
    "/v1/orgs": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** List the organizations that I belong to */
        get: operations["orgs.list"];
        put?: never;
        /**
         * Make an organization
         * @description Its first owner is the caller, or whoever is invited to be it.
         */
        post: operations["orgs.create"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/v1/orgs/{org}/switch": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /**
         * Let this session act in another organization
         * @description For sessions that were signed in with a provider. A token acts in one organization.
         */
        post: operations["orgs.switch"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/v1/previews": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** List open previews */
        get: operations["previews.list"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/v1/previews/{preview}": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        post?: never;
        /**
         * Close a preview
         * @description Its address is never used again.
         */
        delete: operations["previews.close"];
        options?: never;
        head?: never;
        /**
         * Change who may see a preview
         * @description Narrowing it also ends its links and moves it to a new address.
         */
        patch: operations["previews.update"];
        trace?: never;
    };
    "/v1/previews/{preview}/links": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** List the links of a preview */
        get: operations["previews.listLinks"];
        put?: never;
        /** Make a link that opens a preview for a while */
        post: operations["previews.createLink"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/v1/previews/{preview}/links/{link}": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        post?: never;
        /**
         * Take a link back
         * @description Whoever came in by it is out within seconds.
         */
        delete: operations["previews.deleteLink"];
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/v1/prices": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** Show the prices that hold for the organization */
        get: operations["prices.get"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        /**
         * Set prices
         * @description For who runs the installation. They hold from the first hour on that is not over yet; what an hour before has cost stays.
         */
        patch: operations["prices.set"];
        trace?: never;
    };
    "/v1/prices/estimate": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** Show what a box of a template costs for an hour */
        get: operations["prices.estimate"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/v1/providers": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** List identity providers */
        get: operations["providers.list"];
        put?: never;
        /**
         * Set up an identity provider
         * @description Of the caller's organization, or (by an operator) of the whole installation.
         */
        post: operations["providers.create"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/v1/providers/{provider}": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** Show an identity provider */
        get: operations["providers.get"];
        put?: never;
        post?: never;
        /**
         * Remove an identity provider
         * @description Ends every session that it stands behind, and takes every role that it gave.
         */
        delete: operations["providers.delete"];
        options?: never;
        head?: never;
        /**
         * Change an identity provider
         * @description Another issuer would be other people: that is a new provider.
         */
        patch: operations["providers.update"];
        trace?: never;
    };
    "/v1/providers/{provider}/groups": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** Show what a provider's groups mean in my organization */
        get: operations["providers.groups"];
        put?: never;
        /**
         * Say what a provider's groups mean in my organization
         * @description Replaces what was said before. A group gives a role at the organization or in a team; groups that are not named give none.
         */
        post: operations["providers.setGroups"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/v1/quotas": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** Show what I, my teams and my organization take, beside what we may */
        get: operations["quotas.get"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/v1/quotas/defaults/{scope}": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        /** Set the limits of every team or every user that has none of its own */
        patch: operations["quotas.setDefault"];
        trace?: never;
    };
    "/v1/quotas/holders": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** List what each team or each user takes */
        get: operations["quotas.list"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/v1/quotas/installation": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** Show the limits of every organization, team and user that has none of its own */
        get: operations["quotas.getInstallation"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/v1/quotas/installation/{scope}": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        /**
         * Set the limits of every organization, team or user of the installation
         * @description For operators, once: they hold for those that are there and those that come, until an organization, a team or a user is given its own.
         */
        patch: operations["quotas.setInstallation"];
        trace?: never;
    };
    "/v1/quotas/orgs/{org}": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** Show what an organization takes */
        get: operations["quotas.getOrg"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        /**
         * Set the limits of an organization
         * @description For operators: an organization does not raise its own.
         */
        patch: operations["quotas.setOrg"];
        trace?: never;
    };
    "/v1/quotas/teams/{team}": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        /** Set the limits of a team */
        patch: operations["quotas.setTeam"];
        trace?: never;
    };
    "/v1/quotas/users/{user}": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        /** Set the limits of a user */
        patch: operations["quotas.setUser"];
        trace?: never;
    };
    "/v1/scim-tokens": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** List the tokens of directories */
        get: operations["scimTokens.list"];
        put?: never;
        /**
         * Make a token for a directory
         * @description With it a directory (SCIM 2.0) says who is in the organization.
         */
        post: operations["scimTokens.create"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/v1/scim-tokens/{token}": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        post?: never;
        /** Revoke a token of a directory */
        delete: operations["scimTokens.delete"];
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/v1/service-accounts": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** List service accounts */
        get: operations["serviceAccounts.list"];
        put?: never;
        /** Make a service account */
        post: operations["serviceAccounts.create"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/v1/service-accounts/{account}": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        post?: never;
        /**
         * Delete a service account
         * @description Its tokens end; its boxes stay.
         */
        delete: operations["serviceAccounts.delete"];
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/v1/service-accounts/{account}/tokens": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** List the tokens of a service account */
        get: operations["serviceAccounts.tokens"];
        put?: never;
        /** Make a token of a service account */
        post: operations["serviceAccounts.createToken"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/v1/service-accounts/{account}/tokens/{token}": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        post?: never;
        /**
         * Revoke a token of a service account
         * @description Ends the tokens and SSH keys that were made with it too.
         */
        delete: operations["serviceAccounts.deleteToken"];
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/v1/snapshots": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** List snapshots */
        get: operations["snapshots.list"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/v1/snapshots/{snapshot}": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** Show a snapshot */
        get: operations["snapshots.get"];
        put?: never;
        post?: never;
        /**
         * Delete a snapshot
         * @description Refused while a box or a template needs it.
         */
        delete: operations["snapshots.delete"];
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/v1/ssh-keys": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** List my SSH keys */
        get: operations["keys.list"];
        put?: never;
        /**
         * Register an SSH key
         * @description Registering the same key again changes nothing.
         */
        post: operations["keys.create"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/v1/ssh-keys/{key}": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        post?: never;
        /**
         * Forget an SSH key
         * @description What it has open at a gateway ends within seconds.
         */
        delete: operations["keys.delete"];
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/v1/ssh/authority": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** Show the SSH certificate authorities */
        get: operations["access.sshAuthority"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/v1/system": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** Show the installation and who I am */
        get: operations["system.get"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/v1/teams": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** List teams */
        get: operations["teams.list"];
        put?: never;
        /** Make a team */
        post: operations["teams.create"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/v1/teams/{team}": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** Show a team */
        get: operations["teams.get"];
        put?: never;
        post?: never;
        /**
         * Delete a team
         * @description Its boxes stay with their owners.
         */
        delete: operations["teams.delete"];
        options?: never;
        head?: never;
        /** Rename a team */
        patch: operations["teams.update"];
        trace?: never;
    };
    "/v1/teams/{team}/members": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** List who is in a team */
        get: operations["teams.members"];
        put?: never;
        /** Add a member to a team, or change what they are in it */
        post: operations["teams.setMember"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/v1/teams/{team}/members/{member}": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        post?: never;
        /** Remove a member from a team, or leave it */
        delete: operations["teams.removeMember"];
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/v1/templates": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** List templates */
        get: operations["templates.list"];
        put?: never;
        /**
         * Create a template, or a new version of it
         * @description A definition that equals the newest version's makes no new version.
         */
        post: operations["templates.create"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/v1/templates/{template}": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** Show a template */
        get: operations["templates.get"];
        put?: never;
        post?: never;
        /**
         * Delete a template
         * @description Refused while boxes use it.
         */
        delete: operations["templates.delete"];
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/v1/templates/{template}/versions": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** List the versions of a template */
        get: operations["templates.versions"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/v1/templates/{template}/versions/{version}": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /**
         * Show a version of a template
         * @description With its definition and the last output of its build.
         */
        get: operations["templates.version"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/v1/templates/{template}/versions/{version}/build": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /**
         * Build a version again
         * @description For a build that failed. Does nothing while it is queued, being built, or ready.
         */
        post: operations["templates.build"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/v1/tokens": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** List my API tokens */
        get: operations["tokens.list"];
        put?: never;
        /** Make an API token */
        post: operations["tokens.create"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/v1/tokens/{token}": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        post?: never;
        /**
         * Revoke an API token
         * @description Ends the tokens and SSH keys that were made with it, the web sessions that were got by it, and all their streams.
         */
        delete: operations["tokens.delete"];
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/v1/usage": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /**
         * Show usage and what it costs
         * @description Of the whole organization with the permission usage.read; else one's own, and that of teams that one manages.
         */
        get: operations["usage.get"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/v1/usage/events": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /**
         * Export usage, and what budgets reach, as CloudEvents
         * @description Whole hours, and events of budgets, for a billing system: in one order and without a gap, so that a reader that keeps `nextCursor` misses nothing. The same cursor gives the same events, and more behind them when there are.
         */
        get: operations["usage.events"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/v1/volumes": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** List volumes */
        get: operations["volumes.list"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/v1/volumes/{volume}": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** Show a volume */
        get: operations["volumes.get"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/v1/watch": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /**
         * Follow events as they happen
         * @description Server-sent events. Resume with `cursor` or Last-Event-ID: no event is missed or sent twice.
         */
        get: operations["events.watch"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/v1/web-session": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /**
         * Log a browser in
         * @description Sets a cookie for 12 hours that stands for the token in the body.
         */
        post: operations["webSessions.create"];
        /** Log a browser out */
        delete: operations["webSessions.delete"];
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
}
export type webhooks = Record<string, never>;
export interface components {
    schemas: {
        AcceptInvitation: {
            secret: string;
        };
        AuditEntry: {
            /** @description Who, and as what; null: Berth itself, or nobody who was recognized. */
            actor: {
                id: string;
                name: string | null;
                roles: string[];
            } | null;
            address: string | null;
            /**
             * Format: date-time
             * @description ISO 8601 in UTC.
             */
            at: string;
            /** @description Of the error that it was refused or failed with. */
            code: string | null;
            credentialId: string | null;
            data: {
                [key: string]: string | number | boolean;
            };
            hash: string | null;
            id: number;
            /** @enum {string} */
            outcome: "ok" | "refused" | "failed";
            requestId: string | null;
            /** @description What the request named, as it came. */
            resource: {
                [key: string]: string;
            };
            /** @description Its place in the chain; null: not sealed yet. */
            seq: number | null;
            /** @description Ids of what was made, changed or entered. */
            touched: string[];
            userAgent: string | null;
            /** @description An operation (`boxes.create`), or a way into a box (`enter.ssh`). */
            verb: string;
        };
        AuditHead: {
            /** @description Up to where retention has removed it. */
            anchor: components["schemas"]["AuditMark"] | null;
            /** @description The newest head in the object store, which the database's keeper cannot change. */
            exported: components["schemas"]["AuditMark"] | null;
            /** @description Of the chain as it is now. */
            head: components["schemas"]["AuditMark"];
            publicKeyPem: string;
        };
        /** @description Canonical JSON: to the letter what was hashed or signed. */
        AuditLine: {
            [key: string]: unknown;
        };
        AuditMark: {
            /**
             * Format: date-time
             * @description ISO 8601 in UTC.
             */
            at: string;
            chain: string;
            hash: string;
            /** @enum {string} */
            kind: "head" | "anchor";
            seq: number;
            /** @description Ed25519, in base64, over the canonical JSON of the rest. */
            signature: string;
        };
        AuditPage: {
            items: components["schemas"]["AuditEntry"][];
            /** @description Null on the last page. */
            nextCursor: string | null;
        };
        AuditPolicy: {
            /** @description Null: for ever. */
            keepDays: number | null;
            /** @description What the installation demands at least. */
            keepDaysMin: number;
        };
        Box: {
            /**
             * Format: date-time
             * @description ISO 8601 in UTC.
             */
            createdAt: string;
            /** @enum {string} */
            desired: "running" | "paused" | "stopped" | "deleted";
            /** @description Counts placements. */
            epoch: number;
            fault: {
                attempts: number;
                code: string;
                message: string;
                nextAttemptAt: string | null;
                retryable: boolean;
                /**
                 * Format: date-time
                 * @description ISO 8601 in UTC.
                 */
                since: string;
            } | null;
            /** @description Counts changes of intent; the ETag of the box. */
            generation: number;
            /** @description An id: box_ and 20 characters. */
            id: string;
            /** @description The newest state that survives the loss of the node; null: none yet. */
            lastSafeAt: string | null;
            name: string;
            /** @description What will happen, and when, if nobody does anything. */
            next: string | null;
            node: {
                /** @description An id: node_ and 20 characters. */
                id: string;
                name: string;
            } | null;
            notices: {
                /**
                 * Format: date-time
                 * @description ISO 8601 in UTC.
                 */
                at: string;
                code: string;
                message: string;
            }[];
            /** @description Intent that has been made true. */
            observedGeneration: number;
            /** @description An id: org_ and 20 characters. */
            org: string;
            /** @description An id: usr_ and 20 characters. */
            owner: string;
            /** @enum {string} */
            phase: "creating" | "starting" | "running" | "pausing" | "paused" | "resuming" | "stopping" | "stopped" | "deleting" | "deleted" | "failed";
            placement: {
                /**
                 * Format: date-time
                 * @description ISO 8601 in UTC.
                 */
                at: string;
                candidates: {
                    fits: boolean;
                    /** @description An id: node_ and 20 characters. */
                    nodeId: string;
                    nodeName: string;
                    reasons: string[];
                    score: number | null;
                }[];
                /** @description Why it is where it is, or why it is nowhere yet. */
                summary: string;
            } | null;
            /** @description What listens in the box now. Empty while it does not run. */
            ports: {
                /** @description Listens on the box's loopback only; that is no hindrance. */
                isLoopback: boolean;
                port: number;
                /** @description Where it is previewed; null: it is not. */
                previewUrl: string | null;
                /** @description What listens, as far as the guest can tell. */
                program: string | null;
            }[];
            /** @description Why it is in this phase, in words. */
            reason: string | null;
            /** @description What the guest renewed of its identity when this epoch came up. */
            renewal: {
                /**
                 * Format: date-time
                 * @description ISO 8601 in UTC.
                 */
                at: string;
                renewed: string[];
                sshHostKey: string;
            } | null;
            /**
             * Format: date-time
             * @description When the phase began.
             */
            since: string;
            /** @description The snapshot that a paused or stopped box is at rest in. */
            snapshot: {
                /** @description Every byte is in the object store. */
                durable: boolean;
                /** @description An id: snap_ and 20 characters. */
                id: string;
                /** @enum {string} */
                kind: "pause" | "stop" | "fork" | "checkpoint" | "prebuild";
                /** @description Upload progress, 0 to 1. */
                progress: number;
            } | null;
            source: {
                forkedFrom: {
                    /** @description An id: box_ and 20 characters. */
                    id: string;
                    name: string | null;
                } | null;
                snapshotId: string | null;
            };
            spec: {
                cpus: number;
                gpus: number;
                homeDiskGib: number;
                memoryMib: number;
                rootDiskGib: number;
            };
            /** @description How this epoch came up, with milliseconds by phase. */
            started: {
                /** @enum {string} */
                how: "adopted" | "restored" | "booted";
                phasesMs: {
                    [key: string]: number;
                };
            } | null;
            /** @description The team that it belongs to. */
            team: string | null;
            template: {
                /** @description An id: tpl_ and 20 characters. */
                id: string;
                name: string;
                version: number;
                /** @description An id: tv_ and 20 characters. */
                versionId: string;
            };
        };
        BoxAccepted: {
            box: components["schemas"]["Box"];
            operation: components["schemas"]["Operation"];
        };
        BoxCreated: {
            box: components["schemas"]["Box"];
            /** @description Null: nothing has a price. */
            hourlyPrice: components["schemas"]["HourlyPrice"] | null;
            operation: components["schemas"]["Operation"];
        };
        BoxPage: {
            items: components["schemas"]["Box"][];
            /** @description Null on the last page. */
            nextCursor: string | null;
        };
        Budget: {
            /** @description A decimal, as in 12.5. */
            amount: string;
            currency: string | null;
            /** @description An id: bud_ and 20 characters. */
            id: string;
            /** @description What would start is refused. */
            isClosed: boolean;
            /** @description First day of this month. */
            month: string;
            /** @description Thresholds that were reached this month, and when it was seen. */
            passed: {
                /**
                 * Format: date-time
                 * @description ISO 8601 in UTC.
                 */
                at: string;
                threshold: number;
            }[];
            percent: number;
            /** @description What an hour of what is taken now costs. */
            perHour: string;
            /** @enum {string} */
            policy: "warn" | "refuse" | "pause";
            /** @description What the month will have cost if that goes on. */
            projected: string;
            /**
             * Format: date-time
             * @description ISO 8601 in UTC.
             */
            resetsAt: string;
            /** @description Of this month, up to now. */
            spent: string;
            team: {
                /** @description An id: team_ and 20 characters. */
                id: string;
                name: string;
            } | null;
            thresholds: number[];
            /** @description Thresholds that were told this month. */
            told: number[];
        };
        /** @description A CloudEvent (1.0): a budget was set, reached a threshold, is spent, or lets go. */
        BudgetEvent: {
            data: {
                /** @description A decimal, as in 12.5. */
                amount: string;
                /** @description An id: bud_ and 20 characters. */
                budgetId: string;
                currency: string | null;
                /** @description A sentence for people. */
                message: string;
                /** @description Its first day. */
                month: string;
                /** @description An id: org_ and 20 characters. */
                orgId: string;
                /** @enum {string} */
                policy: "warn" | "refuse" | "pause";
                /** @description A decimal, as in 12.5. */
                spent: string;
                /** @description Null: of the whole organization. */
                teamId: string | null;
                /** @description Percent that was reached, of a threshold. */
                threshold: number | null;
            };
            /** @constant */
            datacontenttype: "application/json";
            /** @description The same event has the same id, however often it is read. */
            id: string;
            source: string;
            /** @constant */
            specversion: "1.0";
            /** @description The budget. */
            subject: string;
            /**
             * Format: date-time
             * @description ISO 8601 in UTC.
             */
            time: string;
            /** @enum {string} */
            type: "dev.berth.budget.set.v1" | "dev.berth.budget.deleted.v1" | "dev.berth.budget.threshold.v1" | "dev.berth.budget.spent.v1" | "dev.berth.budget.lifted.v1";
        };
        Budgets: {
            items: components["schemas"]["Budget"][];
        };
        CreateBox: {
            /**
             * @description Added to the template's environment.
             * @default {}
             */
            env?: {
                [key: string]: string;
            };
            /**
             * @description Only nodes that have all of these may run it.
             * @default {}
             */
            labels?: {
                [key: string]: string;
            };
            /** @description Also its host name. Made up from the template's without. */
            name?: string;
            /** @description Only nodes of this region may run it. */
            region?: string;
            /** @description The team that it belongs to: its members may see it, and enter it. */
            team?: string;
            /** @description Id or name of the template. */
            template: string;
            /** @description Default: the newest ready version. */
            version?: number;
        };
        CreateCheckpoint: {
            /** @description What to call it; shown in lists. */
            name?: string;
        };
        CreatedInvitation: {
            /**
             * Format: date-time
             * @description ISO 8601 in UTC.
             */
            createdAt: string;
            /** @description Only for this address; null: for whoever has the link. */
            email: string | null;
            /**
             * Format: date-time
             * @description ISO 8601 in UTC.
             */
            expiresAt: string;
            /** @description An id: inv_ and 20 characters. */
            id: string;
            org: {
                /** @description An id: org_ and 20 characters. */
                id: string;
                name: string;
            };
            roles: ("owner" | "admin" | "template_author" | "member" | "viewer" | "auditor" | "billing")[];
            /** @description What the invited person shows. Shown only here. */
            secret: string;
            team: string | null;
            /** @description Where they go with a browser. */
            url: string;
        };
        CreatedOrg: {
            /** @description An id: org_ and 20 characters. */
            id: string;
            invitation: components["schemas"]["CreatedInvitation"] | null;
            name: string;
            roles: ("owner" | "admin" | "template_author" | "member" | "viewer" | "auditor" | "billing")[];
        };
        CreatedPreviewLink: {
            /**
             * Format: date-time
             * @description ISO 8601 in UTC.
             */
            createdAt: string;
            /**
             * Format: date-time
             * @description ISO 8601 in UTC.
             */
            expiresAt: string;
            /** @description An id: lnk_ and 20 characters. */
            id: string;
            /** @description An id: usr_ and 20 characters. */
            owner: string;
            /** @description Opens the preview for whoever has it. Shown only here. */
            url: string;
        };
        CreatedScimToken: {
            /** @description Where the directory sends its users and groups. */
            baseUrl: string;
            /**
             * Format: date-time
             * @description ISO 8601 in UTC.
             */
            createdAt: string;
            /** @description With the token that it was made with; null: never by itself. */
            expiresAt: string | null;
            /** @description An id: sct_ and 20 characters. */
            id: string;
            /** @description To the minute; null: not yet. */
            lastUsedAt: string | null;
            /** @description The token that it was made with, and ends with; null: a login. */
            madeWith: {
                /** @description An id: tok_ and 20 characters. */
                id: string;
                name: string;
            } | null;
            name: string;
            /** @description The token itself. Shown only here. */
            token: string;
        };
        CreatedToken: {
            /**
             * Format: date-time
             * @description ISO 8601 in UTC.
             */
            createdAt: string;
            /** @description Null: never. */
            expiresAt: string | null;
            /** @description An id: tok_ and 20 characters. */
            id: string;
            /** @description This request came with it, or with a session got by it. */
            isCurrent: boolean;
            /** @description To the minute; null: not yet. */
            lastUsedAt: string | null;
            /** @description The token that it was made with, and ends with; null: a login. */
            madeWith: {
                /** @description An id: tok_ and 20 characters. */
                id: string;
                name: string;
            } | null;
            name: string;
            /** @description What it may be used for; null: all that its user may do. */
            scopes: ("box.read" | "box.create" | "box.control" | "box.delete" | "box.enter" | "box.share" | "template.read" | "template.write" | "snapshot.read" | "snapshot.delete" | "volume.read" | "node.read" | "node.manage" | "event.read" | "operation.read" | "system.read" | "key.manage" | "token.manage" | "preview.read" | "preview.share" | "org.read" | "org.manage" | "org.create" | "member.read" | "member.manage" | "team.read" | "team.manage" | "service.manage" | "quota.read" | "quota.manage" | "audit.read" | "audit.manage" | "usage.read" | "budget.manage" | "provider.manage")[] | null;
            /** @description The token itself. Shown only here. */
            token: string;
        };
        CreateInvitation: {
            /**
             * Format: email
             * @description Without it, whoever has the link may take it.
             */
            email?: string;
            /** @default 604800000 */
            expiresInMs?: number;
            /**
             * @default [
             *       "member"
             *     ]
             */
            roles?: ("owner" | "admin" | "template_author" | "member" | "viewer" | "auditor" | "billing")[];
            /** @description Also a member of this team. */
            team?: string;
        };
        CreateJoinToken: {
            /** @description Only a node of this name may use it. */
            name?: string;
            /** @default 60 */
            ttlMinutes?: number;
        };
        CreateOrg: {
            /**
             * @description Its first owner is whoever takes the invitation, not the caller.
             * @default false
             */
            inviteOwner?: boolean;
            name: string;
        };
        CreatePreviewLink: {
            /** @default 86400000 */
            expiresInMs?: number;
        };
        CreateProvider: {
            /**
             * @description False: only who was invited, or is in the directory, becomes a user by logging in.
             * @default true
             */
            admitsNewUsers?: boolean;
            /**
             * @description How often the provider is asked whether a session may go on.
             * @default 300000
             */
            checkEveryMs?: number;
            clientId: string;
            /** @description Without one: a public client. */
            clientSecret?: string;
            /**
             * @description Of whoever no group gives a role in this organization; null: they are not let in.
             * @default null
             */
            defaultRole?: ("owner" | "admin" | "template_author" | "member" | "viewer" | "auditor" | "billing") | null;
            /**
             * @description Only verified addresses at these are let in; empty: any.
             * @default []
             */
            emailDomains?: string[];
            /**
             * @description The claim that lists a person's groups; dots lead into it.
             * @default groups
             */
            groupsClaim?: string;
            /**
             * @description For everybody; for operators.
             * @default false
             */
            isOfInstallation?: boolean;
            /**
             * Format: uri
             * @description As the provider writes it in its discovery document.
             */
            issuer: string;
            /**
             * @description An operator answers for it: it may be at a private address, and the e-mail addresses that it has verified are people's.
             * @default false
             */
            isTrusted?: boolean;
            /** @description What people see: `Log in with LABEL`. */
            label: string;
            /**
             * @description So long a member's tokens and SSH keys work without a word of the provider about them; then they wait for the next login. Null: until the provider refuses them.
             * @default null
             */
            memberMaxAgeMs?: number | null;
            name: string;
            /**
             * @description Added to every request, such as `{ "prompt": "login" }`.
             * @default {}
             */
            parameters?: {
                [key: string]: string;
            };
            /**
             * @description `offline_access` lets a session go on for as long as the provider says yes.
             * @default [
             *       "openid",
             *       "profile",
             *       "email",
             *       "offline_access"
             *     ]
             */
            scopes?: string[];
            /**
             * @description No session lasts longer, whatever the provider says.
             * @default 43200000
             */
            sessionMaxMs?: number;
        };
        CreateScimToken: {
            name: string;
        };
        CreateServiceAccount: {
            name: string;
            /**
             * @default [
             *       "member"
             *     ]
             */
            roles?: ("owner" | "admin" | "template_author" | "member" | "viewer" | "auditor" | "billing")[];
        };
        CreateShare: {
            /**
             * @description view: see it; use: also enter it; admin: also run, share and delete it.
             * @default use
             * @enum {string}
             */
            role?: "view" | "use" | "admin";
            /** @description Id or name of the team. */
            team?: string;
            /** @description Id, e-mail address or name of a member. */
            user?: string;
        };
        CreateSshCertificate: {
            /** @description The user's public key, as in id_ed25519.pub. */
            publicKey: string & (unknown & unknown);
        };
        CreateSshKey: {
            /** @description What to call it; shown in lists. */
            name: string;
            /** @description The user's public key, as in id_ed25519.pub. */
            publicKey: string & (unknown & unknown);
        };
        CreateTeam: {
            name: string;
        };
        CreateTicket: {
            /**
             * @description For a page of the dashboard: lasts 30 s, works once, only from there, and only at `gatewayUrl` of the answer.
             * @default false
             */
            forBrowser?: boolean;
            /** @description With `forBrowser`: the gateway that it is for, one of `gatewayUrls`; else the best. */
            gatewayUrl?: string;
            /**
             * @description TCP ports in the box that it opens; 22 is SSH, 1 runs programs.
             * @default any
             */
            ports?: "any" | number[];
            /** @description Opens this exec session and nothing else: no port, no console. */
            session?: {
                id: string;
                /**
                 * @default write
                 * @enum {string}
                 */
                mode?: "read" | "write";
            };
        };
        CreateToken: {
            /** @description Without it the token lasts until it is deleted. */
            expiresInMs?: number;
            /** @description What it is for; shown in lists. */
            name: string;
            /** @description What it may be used for, of what you may do. Without it: everything. */
            scopes?: ("box.read" | "box.create" | "box.control" | "box.delete" | "box.enter" | "box.share" | "template.read" | "template.write" | "snapshot.read" | "snapshot.delete" | "volume.read" | "node.read" | "node.manage" | "event.read" | "operation.read" | "system.read" | "key.manage" | "token.manage" | "preview.read" | "preview.share" | "org.read" | "org.manage" | "org.create" | "member.read" | "member.manage" | "team.read" | "team.manage" | "service.manage" | "quota.read" | "quota.manage" | "audit.read" | "audit.manage" | "usage.read" | "budget.manage" | "provider.manage")[];
        };
        CreateWebSession: {
            /** @description An API token. */
            token: string;
        };
        DeletedToken: {
            /**
             * Format: date-time
             * @description ISO 8601 in UTC.
             */
            createdAt: string;
            /** @description What ended with it: tokens, SSH keys, SCIM tokens, open invitations and preview links made with it, and browsers logged in by it. */
            ended: {
                invitations: number;
                keys: number;
                links: number;
                scimTokens: number;
                sessions: number;
                tokens: number;
            };
            /** @description Null: never. */
            expiresAt: string | null;
            /** @description An id: tok_ and 20 characters. */
            id: string;
            /** @description This request came with it, or with a session got by it. */
            isCurrent: boolean;
            /** @description To the minute; null: not yet. */
            lastUsedAt: string | null;
            /** @description The token that it was made with, and ends with; null: a login. */
            madeWith: {
                /** @description An id: tok_ and 20 characters. */
                id: string;
                name: string;
            } | null;
            name: string;
            /** @description What it may be used for; null: all that its user may do. */
            scopes: ("box.read" | "box.create" | "box.control" | "box.delete" | "box.enter" | "box.share" | "template.read" | "template.write" | "snapshot.read" | "snapshot.delete" | "volume.read" | "node.read" | "node.manage" | "event.read" | "operation.read" | "system.read" | "key.manage" | "token.manage" | "preview.read" | "preview.share" | "org.read" | "org.manage" | "org.create" | "member.read" | "member.manage" | "team.read" | "team.manage" | "service.manage" | "quota.read" | "quota.manage" | "audit.read" | "audit.manage" | "usage.read" | "budget.manage" | "provider.manage")[] | null;
        };
        Drain: {
            /** @description Builds of templates that this request ended. */
            endedBuilds: number;
            /** @description Boxes that are still on the node. */
            live: number;
            /** @description Boxes that this request asked to come to rest. */
            paused: number;
            /** @description Boxes at rest there that the object store does not have yet. */
            unsaved: number;
            /** @description Up to ten of those that are left. */
            waitsFor: {
                /** @description An id: box_ and 20 characters. */
                box: string;
                phase: string;
                reason: string | null;
            }[];
        };
        EndedWebSession: {
            /** @description False: the request came with a token, not a session. */
            ended: boolean;
            /** @description Where to go on to log out at the identity provider too; null: nowhere. */
            providerLogoutUrl: string | null;
        };
        /** @description What a box costs, besides its snapshots and the bytes that leave it. */
        Estimate: {
            /** @description Null: nothing has a price. */
            currency: string | null;
            lines: {
                /** @description A decimal, as in 12.5. */
                amount: string;
                /** @description A decimal, as in 12.5. */
                cost: string;
                /** @description A decimal, as in 12.5. */
                price: string;
                /**
                 * @description vcpu: vCPUs of running boxes (vCPU-hour); memory: memory of running boxes (GiB-hour); gpu: GPUs of running boxes (GPU-hour); disk_running: disk of boxes on a node (GiB-hour); disk_paused: disk of paused boxes (GiB-hour); disk_stopped: disk of stopped boxes (GiB-hour); snapshot: snapshots, what each adds to the object store (GiB-hour); egress: bytes that leave a box (GiB)
                 * @enum {string}
                 */
                resource: "vcpu" | "memory" | "gpu" | "disk_running" | "disk_paused" | "disk_stopped" | "snapshot" | "egress";
                unit: string;
            }[];
            /** @description For an hour, of a paused box. */
            paused: string;
            /** @description For an hour, of a box that runs. */
            running: string;
            /** @description For an hour, of a stopped box. */
            stopped: string;
        };
        Event: {
            /**
             * Format: date-time
             * @description ISO 8601 in UTC.
             */
            at: string;
            /** @description The box that it concerns, if any. */
            boxId: string | null;
            /** @description Continue a watch after this event. */
            cursor: string;
            data: {
                [key: string]: unknown;
            };
            /** @description `box.created`, `box.phase`, `snapshot.durable`, … */
            kind: string;
            /** @description One sentence for people. */
            message: string;
            resource: {
                id: string;
                type: string;
            };
        };
        EventPage: {
            items: components["schemas"]["Event"][];
            /** @description Null on the last page. */
            nextCursor: string | null;
        };
        ForkBox: {
            /** @default 1 */
            count?: number;
            /** @description One for each fork. Made up from the box's name without. */
            names?: string[];
        };
        ForksAccepted: {
            forks: {
                box: components["schemas"]["Box"];
                operation: components["schemas"]["Operation"];
            }[];
        };
        /** @description What a box costs, besides its snapshots and the bytes that leave it. */
        HourlyPrice: {
            currency: string;
            /** @description For an hour, of a paused box. */
            paused: string;
            /** @description For an hour, of a box that runs. */
            running: string;
            /** @description For an hour, of a stopped box. */
            stopped: string;
        };
        InstallationOrg: {
            boxes: number;
            /**
             * Format: date-time
             * @description ISO 8601 in UTC.
             */
            createdAt: string;
            /** @description An id: org_ and 20 characters. */
            id: string;
            /** @description People and service accounts. */
            members: number;
            name: string;
            /** @description Boxes that run, or come up, or come to rest. */
            running: number;
        };
        InstallationOrgPage: {
            items: components["schemas"]["InstallationOrg"][];
            /** @description Null on the last page. */
            nextCursor: string | null;
        };
        /** @description What holds wherever neither the one nor its organization has a limit of its own. Null: no limit. */
        InstallationQuotas: {
            /** @description Of each organization. */
            org: {
                /** @description vCPUs that one box may have. */
                boxCpus: number | null;
                /** @description Disk that one box may have. */
                boxDiskGib: number | null;
                /** @description Boxes, in any state but deleted. */
                boxes: number | null;
                /** @description Memory that one box may have. */
                boxMemoryMib: number | null;
                /** @description vCPUs of running boxes; template builds count. */
                cpus: number | null;
                /** @description Boxes made in the last hour, also those that are deleted by now. */
                createsPerHour: number | null;
                /** @description Disks of boxes in any state, at their full size. */
                diskGib: number | null;
                /** @description GPUs of running boxes; template builds count. */
                gpus: number | null;
                /** @description Memory of running boxes; template builds count. */
                memoryMib: number | null;
                /** @description Boxes that run, or come up, or come to rest. */
                running: number | null;
                /** @description Open previews that are not private. */
                sharedPorts: number | null;
                /** @description Bytes of snapshots. A checkpoint counts as the most that it can be until it is taken. */
                snapshotBytes: number | null;
            };
            /** @description Of each team of each organization. */
            team: {
                /** @description vCPUs that one box may have. */
                boxCpus: number | null;
                /** @description Disk that one box may have. */
                boxDiskGib: number | null;
                /** @description Boxes, in any state but deleted. */
                boxes: number | null;
                /** @description Memory that one box may have. */
                boxMemoryMib: number | null;
                /** @description vCPUs of running boxes; template builds count. */
                cpus: number | null;
                /** @description Boxes made in the last hour, also those that are deleted by now. */
                createsPerHour: number | null;
                /** @description Disks of boxes in any state, at their full size. */
                diskGib: number | null;
                /** @description GPUs of running boxes; template builds count. */
                gpus: number | null;
                /** @description Memory of running boxes; template builds count. */
                memoryMib: number | null;
                /** @description Boxes that run, or come up, or come to rest. */
                running: number | null;
                /** @description Open previews that are not private. */
                sharedPorts: number | null;
                /** @description Bytes of snapshots. A checkpoint counts as the most that it can be until it is taken. */
                snapshotBytes: number | null;
            };
            /** @description Of each user, in each organization. */
            user: {
                /** @description vCPUs that one box may have. */
                boxCpus: number | null;
                /** @description Disk that one box may have. */
                boxDiskGib: number | null;
                /** @description Boxes, in any state but deleted. */
                boxes: number | null;
                /** @description Memory that one box may have. */
                boxMemoryMib: number | null;
                /** @description vCPUs of running boxes; template builds count. */
                cpus: number | null;
                /** @description Boxes made in the last hour, also those that are deleted by now. */
                createsPerHour: number | null;
                /** @description Disks of boxes in any state, at their full size. */
                diskGib: number | null;
                /** @description GPUs of running boxes; template builds count. */
                gpus: number | null;
                /** @description Memory of running boxes; template builds count. */
                memoryMib: number | null;
                /** @description Boxes that run, or come up, or come to rest. */
                running: number | null;
                /** @description Open previews that are not private. */
                sharedPorts: number | null;
                /** @description Bytes of snapshots. A checkpoint counts as the most that it can be until it is taken. */
                snapshotBytes: number | null;
            };
        };
        Invitation: {
            /**
             * Format: date-time
             * @description ISO 8601 in UTC.
             */
            createdAt: string;
            /** @description Only for this address; null: for whoever has the link. */
            email: string | null;
            /**
             * Format: date-time
             * @description ISO 8601 in UTC.
             */
            expiresAt: string;
            /** @description An id: inv_ and 20 characters. */
            id: string;
            org: {
                /** @description An id: org_ and 20 characters. */
                id: string;
                name: string;
            };
            roles: ("owner" | "admin" | "template_author" | "member" | "viewer" | "auditor" | "billing")[];
            team: string | null;
        };
        InvitationPage: {
            items: components["schemas"]["Invitation"][];
            /** @description Null on the last page. */
            nextCursor: string | null;
        };
        JoinToken: {
            /**
             * Format: date-time
             * @description ISO 8601 in UTC.
             */
            expiresAt: string;
            /** @description Works once. Shown only here. */
            token: string;
        };
        Member: {
            /** @description How many boxes are theirs here. */
            boxes: number;
            email: string | null;
            /** @description An id: usr_ and 20 characters. */
            id: string;
            isDisabled: boolean;
            /** @description Refused by their provider: tokens and SSH keys wait until they log in again. */
            isSuspended: boolean;
            /** @enum {string} */
            kind: "person" | "service";
            /** @description Given by a provider or SCIM: they are changed there. */
            managedRoles: ("owner" | "admin" | "template_author" | "member" | "viewer" | "auditor" | "billing")[];
            name: string;
            roles: ("owner" | "admin" | "template_author" | "member" | "viewer" | "auditor" | "billing")[];
            /**
             * Format: date-time
             * @description ISO 8601 in UTC.
             */
            since: string;
        };
        MemberPage: {
            items: components["schemas"]["Member"][];
            /** @description Null on the last page. */
            nextCursor: string | null;
        };
        MyOrg: {
            /** @description An id: org_ and 20 characters. */
            id: string;
            name: string;
            roles: ("owner" | "admin" | "template_author" | "member" | "viewer" | "auditor" | "billing")[];
        };
        Node: {
            accelerator: ("kvm" | "tcg" | "none") | null;
            acceleratorReason: string | null;
            capacity: {
                cpus: number;
                diskGib: number;
                gpus: number;
                memoryMib: number;
            } | null;
            /**
             * Format: date-time
             * @description ISO 8601 in UTC.
             */
            createdAt: string;
            driver: ("qemu" | "fake") | null;
            /** @description Of its disk, as last reported; null: not known. */
            freeDiskGib: number | null;
            /** @description An id: node_ and 20 characters. */
            id: string;
            labels: {
                [key: string]: string;
            };
            lastReportAt: string | null;
            name: string;
            /** @description How much may be promised for each unit that it has. */
            overcommit: {
                cpu: number;
                disk: number;
                memory: number;
            };
            /** @description It reported within the last few seconds. */
            reachable: boolean;
            region: string;
            /** @description New boxes may be placed here; set by an operator. */
            schedulable: boolean;
            used: {
                boxes: number;
                cpus: number;
                memoryMib: number;
            };
        };
        NodePage: {
            items: components["schemas"]["Node"][];
            /** @description Null on the last page. */
            nextCursor: string | null;
        };
        OpenPreview: {
            port: number;
            /**
             * @description Without it: private, or as it is when the preview is open already.
             * @enum {string}
             */
            visibility?: "private" | "org" | "public";
        };
        Operation: {
            /**
             * Format: date-time
             * @description ISO 8601 in UTC.
             */
            createdAt: string;
            /** @description The last failure on the way; it is still being retried while `running`. */
            error: {
                code: string;
                message: string;
                retryable: boolean;
            } | null;
            finishedAt: string | null;
            /** @description Generation of the intent it wrote. */
            generation: number | null;
            /** @description An id: op_ and 20 characters. */
            id: string;
            /** @description What was asked: `box.create`, `box.pause`, `template.build`, … */
            kind: string;
            resource: {
                id: string;
                type: string;
            };
            /**
             * @description `superseded`: a later request changed the goal before this one was reached.
             * @enum {string}
             */
            state: "running" | "succeeded" | "failed" | "superseded";
        };
        Org: {
            /** @description An id: org_ and 20 characters. */
            id: string;
            /**
             * @description No preview may be open to more people than this; links need `public`.
             * @enum {string}
             */
            maxVisibility: "private" | "org" | "public";
            name: string;
        };
        OrgList: {
            items: {
                /** @description An id: org_ and 20 characters. */
                id: string;
                isCurrent: boolean;
                name: string;
                roles: ("owner" | "admin" | "template_author" | "member" | "viewer" | "auditor" | "billing")[];
            }[];
        };
        Preview: {
            box: {
                /** @description An id: box_ and 20 characters. */
                id: string;
                name: string;
            };
            closedAt: string | null;
            /**
             * Format: date-time
             * @description ISO 8601 in UTC.
             */
            createdAt: string;
            /** @description An id: prv_ and 20 characters. */
            id: string;
            port: number;
            /** @description Its own origin. Changes when its visibility is narrowed. */
            url: string;
            /**
             * @description `private`: the box's owner. `org`: the organization. `public`: everybody.
             * @enum {string}
             */
            visibility: "private" | "org" | "public";
        };
        PreviewLink: {
            /**
             * Format: date-time
             * @description ISO 8601 in UTC.
             */
            createdAt: string;
            /**
             * Format: date-time
             * @description ISO 8601 in UTC.
             */
            expiresAt: string;
            /** @description An id: lnk_ and 20 characters. */
            id: string;
            /** @description An id: usr_ and 20 characters. */
            owner: string;
        };
        PreviewLinkPage: {
            items: components["schemas"]["PreviewLink"][];
            /** @description Null on the last page. */
            nextCursor: string | null;
        };
        PreviewPage: {
            items: components["schemas"]["Preview"][];
            /** @description Null on the last page. */
            nextCursor: string | null;
        };
        PriceBook: {
            /** @description Null: nothing has a price. */
            currency: string | null;
            /** @description One for each resource. */
            prices: {
                /** @description What holds where none is set. */
                installationPrice: string;
                /** @description It is set for this organization. */
                isOwn: boolean;
                /** @description A decimal, as in 12.5. */
                price: string;
                /**
                 * @description vcpu: vCPUs of running boxes (vCPU-hour); memory: memory of running boxes (GiB-hour); gpu: GPUs of running boxes (GPU-hour); disk_running: disk of boxes on a node (GiB-hour); disk_paused: disk of paused boxes (GiB-hour); disk_stopped: disk of stopped boxes (GiB-hour); snapshot: snapshots, what each adds to the object store (GiB-hour); egress: bytes that leave a box (GiB)
                 * @enum {string}
                 */
                resource: "vcpu" | "memory" | "gpu" | "disk_running" | "disk_paused" | "disk_stopped" | "snapshot" | "egress";
                title: string;
                unit: string;
            }[];
        };
        /** @description An error (RFC 9457 problem+json). */
        Problem: {
            /** @enum {string} */
            code: "invalid_request" | "invalid_json" | "invalid_cursor" | "unauthenticated" | "forbidden" | "cross_site" | "not_found" | "route_not_found" | "name_taken" | "not_now" | "not_ready" | "in_use" | "budget_exceeded" | "quota_exceeded" | "preview_gone" | "generation_mismatch" | "body_too_large" | "unsupported_media_type" | "unknown_host" | "idempotency_key_reused" | "rate_limited" | "internal" | "unavailable" | "audit_unavailable" | "ticket_invalid" | "ticket_expired" | "revoked" | "suspended" | "invitation_invalid" | "box_not_here" | "box_moved" | "too_many_streams" | "port_closed" | "node_away" | "login_failed" | "login_denied" | "provider_unavailable" | "join_token_invalid" | "node_unknown" | "resync_needed";
            /** @description What happened this time, and what to do next. */
            detail: string;
            /** @description The fields that are not valid. */
            errors?: {
                message: string;
                path: string;
            }[];
            /** @description Names this request in the server's log. */
            requestId: string;
            /** @description True when the same request may succeed later unchanged. */
            retryable: boolean;
            status: number;
            title: string;
            /** @description A stable address of the error's documentation. */
            type: string;
        };
        Provider: {
            /** @description False: only who was invited, or is in the directory, becomes a user by logging in. */
            admitsNewUsers: boolean;
            /** @description How often the provider is asked whether a session may go on. */
            checkEveryMs: number;
            clientId: string;
            /**
             * Format: date-time
             * @description ISO 8601 in UTC.
             */
            createdAt: string;
            /** @description Where `defaultRole` is. */
            defaultOrg: string | null;
            /** @description Of whoever no group gives a role in this organization; null: they are not let in. */
            defaultRole: ("owner" | "admin" | "template_author" | "member" | "viewer" | "auditor" | "billing") | null;
            /** @description Only verified addresses at these are let in; empty: any. */
            emailDomains: string[];
            /** @description The claim that lists a person's groups; dots lead into it. */
            groupsClaim: string;
            hasClientSecret: boolean;
            /** @description An id: idp_ and 20 characters. */
            id: string;
            /** @description For everybody; its operators look after it. */
            isOfInstallation: boolean;
            issuer: string;
            /** @description An operator answers for it: it may be at a private address, and the e-mail addresses that it has verified are people's. */
            isTrusted: boolean;
            /** @description What people see: `Log in with LABEL`. */
            label: string;
            /** @description Where people log in by it. */
            loginUrl: string;
            /** @description What to register for back-channel log-out. */
            logoutUri: string;
            /** @description So long a member's tokens and SSH keys work without a word of the provider about them; then they wait for the next login. Null: until the provider refuses them. */
            memberMaxAgeMs: number | null;
            name: string;
            parameters: {
                [key: string]: string;
            };
            /** @description What to register at the provider for logging in. */
            redirectUri: string;
            /** @description `offline_access` lets a session go on for as long as the provider says yes. */
            scopes: string[];
            /** @description No session lasts longer, whatever the provider says. */
            sessionMaxMs: number;
        };
        ProviderGroups: {
            groups: {
                group: string;
                role: string;
                team: string | null;
            }[];
        };
        ProviderPage: {
            items: components["schemas"]["Provider"][];
            /** @description Null on the last page. */
            nextCursor: string | null;
        };
        Quota: {
            /** @description Of the organization, team or user. */
            id: string;
            /** @description What holds: its own, else those for everybody. */
            limits: components["schemas"]["QuotaLimits"];
            name: string;
            /** @description Those that were set for just this one. */
            ownLimits: components["schemas"]["QuotaLimits"];
            /** @enum {string} */
            scope: "org" | "team" | "user";
            usage: components["schemas"]["QuotaUsage"];
        };
        /** @description Null: no limit. */
        QuotaLimits: {
            /** @description vCPUs that one box may have. */
            boxCpus: number | null;
            /** @description Disk that one box may have. */
            boxDiskGib: number | null;
            /** @description Boxes, in any state but deleted. */
            boxes: number | null;
            /** @description Memory that one box may have. */
            boxMemoryMib: number | null;
            /** @description vCPUs of running boxes; template builds count. */
            cpus: number | null;
            /** @description Boxes made in the last hour, also those that are deleted by now. */
            createsPerHour: number | null;
            /** @description Disks of boxes in any state, at their full size. */
            diskGib: number | null;
            /** @description GPUs of running boxes; template builds count. */
            gpus: number | null;
            /** @description Memory of running boxes; template builds count. */
            memoryMib: number | null;
            /** @description Boxes that run, or come up, or come to rest. */
            running: number | null;
            /** @description Open previews that are not private. */
            sharedPorts: number | null;
            /** @description Bytes of snapshots. A checkpoint counts as the most that it can be until it is taken. */
            snapshotBytes: number | null;
            /** @description The only templates that boxes can be made from. */
            templates: string[] | null;
        };
        QuotaPage: {
            items: components["schemas"]["Quota"][];
            /** @description Null on the last page. */
            nextCursor: string | null;
        };
        /** @description Every limit holds: they are not added up. */
        Quotas: {
            /** @description For teams that have no limit of their own. */
            everyTeam: components["schemas"]["QuotaLimits"];
            /** @description For users that have no limit of their own. */
            everyUser: components["schemas"]["QuotaLimits"];
            /** @description Null without the permission quota.read. */
            org: components["schemas"]["Quota"] | null;
            /** @description Of the teams that you are in. */
            teams: components["schemas"]["Quota"][];
            /** @description What is yours. */
            user: components["schemas"]["Quota"];
        };
        QuotaUsage: {
            /** @description Boxes, in any state but deleted. */
            boxes: number;
            /** @description vCPUs of running boxes; template builds count. */
            cpus: number;
            /** @description Boxes made in the last hour, also those that are deleted by now. */
            createsPerHour: number;
            /** @description Disks of boxes in any state, at their full size. */
            diskGib: number;
            /** @description GPUs of running boxes; template builds count. */
            gpus: number;
            /** @description Memory of running boxes; template builds count. */
            memoryMib: number;
            /** @description Boxes that run, or come up, or come to rest. */
            running: number;
            /** @description Open previews that are not private. */
            sharedPorts: number;
            /** @description Bytes of snapshots. A checkpoint counts as the most that it can be until it is taken. */
            snapshotBytes: number;
        };
        Register: {
            /** @description What to be called. No e-mail address: nobody has proven that it is theirs. */
            name: string;
            secret: string;
        };
        Registered: {
            org: {
                /** @description An id: org_ and 20 characters. */
                id: string;
                name: string;
            };
            /** @description A token of the new user's. Shown only here. */
            token: string;
            user: {
                /** @description An id: usr_ and 20 characters. */
                id: string;
                name: string;
            };
        };
        RestoreCheckpoint: {
            /** @description Id of the checkpoint to go back to. */
            snapshot: string;
        };
        ScimToken: {
            /**
             * Format: date-time
             * @description ISO 8601 in UTC.
             */
            createdAt: string;
            /** @description With the token that it was made with; null: never by itself. */
            expiresAt: string | null;
            /** @description An id: sct_ and 20 characters. */
            id: string;
            /** @description To the minute; null: not yet. */
            lastUsedAt: string | null;
            /** @description The token that it was made with, and ends with; null: a login. */
            madeWith: {
                /** @description An id: tok_ and 20 characters. */
                id: string;
                name: string;
            } | null;
            name: string;
        };
        ScimTokenPage: {
            items: components["schemas"]["ScimToken"][];
            /** @description Null on the last page. */
            nextCursor: string | null;
        };
        SetBudget: {
            /** @description For each month of UTC. */
            amount: string;
            /**
             * @description When it is spent. warn: only tell; refuse: nothing starts any more; pause: also pause what runs. Nothing is ever deleted.
             * @default warn
             * @enum {string}
             */
            policy?: "warn" | "refuse" | "pause";
            /** @description Default: of the whole organization. */
            team?: string;
            /**
             * @description Percent of the amount at which an event tells it, once a month.
             * @default [
             *       50,
             *       80,
             *       100
             *     ]
             */
            thresholds?: number[];
        };
        SetPrices: {
            currency?: string;
            /** @description Of this organization only; default: of the installation. */
            org?: string;
            /** @description What is left out stays as it is. */
            prices: {
                /** @description For each GiB-hour: disk of paused boxes. Null: none. */
                disk_paused?: string | null;
                /** @description For each GiB-hour: disk of boxes on a node. Null: none. */
                disk_running?: string | null;
                /** @description For each GiB-hour: disk of stopped boxes. Null: none. */
                disk_stopped?: string | null;
                /** @description For each GiB: bytes that leave a box. Null: none. */
                egress?: string | null;
                /** @description For each GPU-hour: GPUs of running boxes. Null: none. */
                gpu?: string | null;
                /** @description For each GiB-hour: memory of running boxes. Null: none. */
                memory?: string | null;
                /** @description For each GiB-hour: snapshots, what each adds to the object store. Null: none. */
                snapshot?: string | null;
                /** @description For each vCPU-hour: vCPUs of running boxes. Null: none. */
                vcpu?: string | null;
            };
        };
        SetProviderGroups: {
            groups: {
                /** @description As the provider or the directory calls it. */
                group: string;
                /** @enum {string} */
                role: "owner" | "admin" | "template_author" | "member" | "viewer" | "auditor" | "billing";
                /**
                 * @description Null: at the organization itself.
                 * @default null
                 */
                team?: string | null;
            }[];
        };
        SetTeamMember: {
            /**
             * @default member
             * @enum {string}
             */
            role?: "admin" | "member" | "viewer";
            /** @description Id, e-mail address or name of a member. */
            user: string;
        };
        Share: {
            /**
             * Format: date-time
             * @description ISO 8601 in UTC.
             */
            createdAt: string;
            /** @description An id: gr_ and 20 characters. */
            id: string;
            /** @enum {string} */
            role: "view" | "use" | "admin";
            team: {
                /** @description An id: team_ and 20 characters. */
                id: string;
                name: string;
            } | null;
            user: {
                /** @description An id: usr_ and 20 characters. */
                id: string;
                name: string;
            } | null;
        };
        ShareList: {
            items: components["schemas"]["Share"][];
        };
        Size: {
            /** @default 2 */
            cpus?: number;
            /** @description Whole GPUs of the node (0). */
            gpus?: number;
            /** @default 10 */
            homeDiskGib?: number;
            /** @default 2048 */
            memoryMib?: number;
            /** @default 20 */
            rootDiskGib?: number;
        };
        Snapshot: {
            allocatedBytes: number | null;
            box: {
                /** @description An id: box_ and 20 characters. */
                id: string;
                name: string;
            };
            /**
             * Format: date-time
             * @description ISO 8601 in UTC.
             */
            createdAt: string;
            durable: boolean;
            error: string | null;
            /** @description An id: snap_ and 20 characters. */
            id: string;
            /** @enum {string} */
            kind: "pause" | "stop" | "fork" | "checkpoint" | "prebuild";
            /** @description Name of a checkpoint, given by the user. */
            name: string | null;
            /** @description Upload progress. */
            progress: number;
            /**
             * @description `local`: complete on its node. `durable`: every byte is in the object store.
             * @enum {string}
             */
            state: "requested" | "local" | "durable" | "failed" | "deleting" | "deleted";
            /** @description Bytes that it added to the object store. */
            storedBytes: number | null;
            withMemory: boolean;
        };
        SnapshotAccepted: {
            operation: components["schemas"]["Operation"];
            snapshot: components["schemas"]["Snapshot"];
        };
        SnapshotPage: {
            items: components["schemas"]["Snapshot"][];
            /** @description Null on the last page. */
            nextCursor: string | null;
        };
        SshAuthority: {
            /** @description A known_hosts line for boxes and gateways: @cert-authority *.berth,… … */
            knownHosts: string;
            /** @description Public key that boxes trust for user certificates. */
            userCa: string;
        };
        SshCertificate: {
            /** @description Content of id-cert.pub. */
            certificate: string;
            /**
             * Format: date-time
             * @description ISO 8601 in UTC.
             */
            expiresAt: string;
            /** @description Name that the box's host certificate carries. */
            hostName: string;
            /** @description A known_hosts line that trusts Berth's host CA. */
            knownHosts: string;
            /** @description Unix user to enter as. */
            user: string;
        };
        SshKey: {
            /**
             * Format: date-time
             * @description ISO 8601 in UTC.
             */
            createdAt: string;
            /** @description With the token that it was made with; null: never by itself. */
            expiresAt: string | null;
            /** @description SHA256:…, as `ssh-keygen -l` prints it. */
            fingerprint: string;
            /** @description An id: key_ and 20 characters. */
            id: string;
            /** @description The token that it was made with, and ends with; null: a login. */
            madeWith: {
                /** @description An id: tok_ and 20 characters. */
                id: string;
                name: string;
            } | null;
            name: string;
            publicKey: string;
            /** @description `ssh-ed25519`, … */
            type: string;
        };
        SshKeyPage: {
            items: components["schemas"]["SshKey"][];
            /** @description Null on the last page. */
            nextCursor: string | null;
        };
        System: {
            /** @description How many boxes are in each phase. */
            boxes: {
                [key: string]: number;
            };
            /** @description Where browsers reach the web app. */
            dashboardUrl: string;
            gatewayUrl: string;
            /** @description Every gateway that answers, best first. */
            gatewayUrls: string[];
            nodes: {
                reachable: number;
                total: number;
            };
            /** @description What an operator should know, such as emulation. */
            notices: string[];
            /** @description Origins of previews, with `*` for their first part; null: reduced mode. */
            previewOrigin: string | null;
            /** @description HOST:PORT of a gateway's SSH door; null: none. */
            sshAddress: string | null;
            /**
             * Format: date-time
             * @description ISO 8601 in UTC.
             */
            time: string;
            user: components["schemas"]["Who"];
            version: string;
        };
        Team: {
            boxes: number;
            /**
             * Format: date-time
             * @description ISO 8601 in UTC.
             */
            createdAt: string;
            /** @description An id: team_ and 20 characters. */
            id: string;
            members: number;
            name: string;
        };
        TeamMember: {
            email: string | null;
            /** @description An id: usr_ and 20 characters. */
            id: string;
            /** @description A provider or SCIM keeps it: it is changed there. */
            isManaged: boolean;
            name: string;
            /** @enum {string} */
            role: "admin" | "member" | "viewer";
        };
        TeamMemberPage: {
            items: components["schemas"]["TeamMember"][];
            /** @description Null on the last page. */
            nextCursor: string | null;
        };
        TeamPage: {
            items: components["schemas"]["Team"][];
            /** @description Null on the last page. */
            nextCursor: string | null;
        };
        Template: {
            /**
             * Format: date-time
             * @description ISO 8601 in UTC.
             */
            createdAt: string;
            /** @description An id: tpl_ and 20 characters. */
            id: string;
            /** @description The newest version. */
            latest: components["schemas"]["TemplateVersion"] | null;
            name: string;
            /** @description An id: org_ and 20 characters. */
            org: string;
            /** @description An id: usr_ and 20 characters. */
            owner: string;
            /** @description The version that new boxes use. */
            ready: components["schemas"]["TemplateVersion"] | null;
        };
        TemplateAccepted: {
            operation: components["schemas"]["Operation"];
            template: components["schemas"]["Template"];
        };
        TemplateDefinition: {
            /**
             * @description Base image to build on.
             * @default debian-12
             */
            base?: string;
            /** @default {} */
            env?: {
                [key: string]: string;
            };
            /** @default {} */
            hooks?: {
                /**
                 * @description Run as dev in a new fork, after its identity was renewed.
                 * @default null
                 */
                onFork?: string | null;
                /**
                 * @description Run as dev after a pause was resumed.
                 * @default null
                 */
                onResume?: string | null;
            };
            /** @default {} */
            idle?: {
                /** @default null */
                pauseAfterMinutes?: number | null;
            };
            name: string;
            /**
             * @description Debian packages to install.
             * @default []
             */
            packages?: string[];
            /**
             * @description Ports that the environment serves.
             * @default []
             */
            ports?: {
                /** @default null */
                name?: string | null;
                port: number;
            }[];
            /** @default null */
            repository?: {
                /**
                 * @description Where below /home/dev to check it out; null for the repository's name.
                 * @default null
                 */
                path?: (string & (unknown & unknown)) | null;
                /**
                 * @description Branch, tag or commit; null for the default branch.
                 * @default null
                 */
                ref?: (string & (unknown & unknown)) | null;
                url: string & (unknown & unknown);
            } | null;
            /**
             * @description Shell script run once as dev, at build.
             * @default null
             */
            setup?: string | null;
            /** @default {} */
            size?: components["schemas"]["Size"];
        };
        TemplatePage: {
            items: components["schemas"]["Template"][];
            /** @description Null on the last page. */
            nextCursor: string | null;
        };
        TemplateVersion: {
            /** @description The box that is building it. */
            builder: string | null;
            /**
             * Format: date-time
             * @description ISO 8601 in UTC.
             */
            createdAt: string;
            error: string | null;
            /** @description An id: tv_ and 20 characters. */
            id: string;
            imageDigest: string;
            /** @description The snapshot that boxes are created from; null: they boot. */
            prebuild: {
                durable: boolean;
                /** @description An id: snap_ and 20 characters. */
                snapshotId: string;
            } | null;
            readyAt: string | null;
            /** @enum {string} */
            state: "unbuilt" | "building" | "ready" | "failed";
            /** @description What the build is doing now. */
            step: string | null;
            version: number;
        };
        TemplateVersionDetail: {
            /** @description The box that is building it. */
            builder: string | null;
            /**
             * Format: date-time
             * @description ISO 8601 in UTC.
             */
            createdAt: string;
            /** @description The definition, defaults filled in. */
            definition: {
                [key: string]: unknown;
            };
            error: string | null;
            /** @description An id: tv_ and 20 characters. */
            id: string;
            imageDigest: string;
            /** @description The last output of the build. */
            log: string;
            /** @description The snapshot that boxes are created from; null: they boot. */
            prebuild: {
                durable: boolean;
                /** @description An id: snap_ and 20 characters. */
                snapshotId: string;
            } | null;
            readyAt: string | null;
            /** @enum {string} */
            state: "unbuilt" | "building" | "ready" | "failed";
            /** @description What the build is doing now. */
            step: string | null;
            version: number;
        };
        TemplateVersionPage: {
            items: components["schemas"]["TemplateVersion"][];
            /** @description Null on the last page. */
            nextCursor: string | null;
        };
        Ticket: {
            /** @description An id: box_ and 20 characters. */
            boxId: string;
            epoch: number;
            /**
             * Format: date-time
             * @description ISO 8601 in UTC.
             */
            expiresAt: string;
            /** @description Where the gateway is: the first of `gatewayUrls`, or for a page the one that its ticket is for. */
            gatewayUrl: string;
            /** @description Every gateway that answers, best first: when one does not, take the next. */
            gatewayUrls: string[];
            /** @description Bearer token for the gateway; lasts minutes. */
            ticket: string;
        };
        Token: {
            /**
             * Format: date-time
             * @description ISO 8601 in UTC.
             */
            createdAt: string;
            /** @description Null: never. */
            expiresAt: string | null;
            /** @description An id: tok_ and 20 characters. */
            id: string;
            /** @description This request came with it, or with a session got by it. */
            isCurrent: boolean;
            /** @description To the minute; null: not yet. */
            lastUsedAt: string | null;
            /** @description The token that it was made with, and ends with; null: a login. */
            madeWith: {
                /** @description An id: tok_ and 20 characters. */
                id: string;
                name: string;
            } | null;
            name: string;
            /** @description What it may be used for; null: all that its user may do. */
            scopes: ("box.read" | "box.create" | "box.control" | "box.delete" | "box.enter" | "box.share" | "template.read" | "template.write" | "snapshot.read" | "snapshot.delete" | "volume.read" | "node.read" | "node.manage" | "event.read" | "operation.read" | "system.read" | "key.manage" | "token.manage" | "preview.read" | "preview.share" | "org.read" | "org.manage" | "org.create" | "member.read" | "member.manage" | "team.read" | "team.manage" | "service.manage" | "quota.read" | "quota.manage" | "audit.read" | "audit.manage" | "usage.read" | "budget.manage" | "provider.manage")[] | null;
        };
        TokenPage: {
            items: components["schemas"]["Token"][];
            /** @description Null on the last page. */
            nextCursor: string | null;
        };
        UpdateAuditPolicy: {
            keepDays?: number | null;
            /** @description Only for those who run the installation. */
            keepDaysMin?: number;
        };
        UpdateBox: {
            /** @description Id, e-mail address or name of a member. */
            owner?: string;
            /** @description Null: of no team. */
            team?: string | null;
        };
        /** @description What is left out stays as it is. */
        UpdateInstallationQuota: {
            /** @description vCPUs that one box may have. */
            boxCpus?: number | null;
            /** @description Disk that one box may have. */
            boxDiskGib?: number | null;
            /** @description Boxes, in any state but deleted. */
            boxes?: number | null;
            /** @description Memory that one box may have. */
            boxMemoryMib?: number | null;
            /** @description vCPUs of running boxes; template builds count. */
            cpus?: number | null;
            /** @description Boxes made in the last hour, also those that are deleted by now. */
            createsPerHour?: number | null;
            /** @description Disks of boxes in any state, at their full size. */
            diskGib?: number | null;
            /** @description GPUs of running boxes; template builds count. */
            gpus?: number | null;
            /** @description Memory of running boxes; template builds count. */
            memoryMib?: number | null;
            /** @description Boxes that run, or come up, or come to rest. */
            running?: number | null;
            /** @description Open previews that are not private. */
            sharedPorts?: number | null;
            /** @description Bytes of snapshots. A checkpoint counts as the most that it can be until it is taken. */
            snapshotBytes?: number | null;
        };
        UpdateMember: {
            /** @description All that the member has, of those given here. */
            roles: ("owner" | "admin" | "template_author" | "member" | "viewer" | "auditor" | "billing")[];
        };
        UpdateNode: {
            /** @description CPUs that may be promised for each that it has. */
            cpuOvercommit?: number;
            /** @description Disk that may be promised for each byte it has. */
            diskOvercommit?: number;
            /** @description Memory that may be promised for each byte that it has. Over 1, boxes can run out of it. */
            memoryOvercommit?: number;
            /** @description False keeps new boxes away; running ones stay. */
            schedulable?: boolean;
        };
        UpdateOrg: {
            /**
             * @description Previews that are wider are narrowed to it at once, and stay so.
             * @enum {string}
             */
            maxVisibility?: "private" | "org" | "public";
            name?: string;
        };
        UpdatePreview: {
            /**
             * @description `private`: the box's owner. `org`: the organization. `public`: everybody.
             * @enum {string}
             */
            visibility: "private" | "org" | "public";
        };
        UpdateProvider: {
            /** @description False: only who was invited, or is in the directory, becomes a user by logging in. */
            admitsNewUsers?: boolean;
            /** @description How often the provider is asked whether a session may go on. */
            checkEveryMs?: number;
            clientId?: string;
            /** @description Null: a public client. */
            clientSecret?: string | null;
            /** @description Of whoever no group gives a role in this organization; null: they are not let in. */
            defaultRole?: ("owner" | "admin" | "template_author" | "member" | "viewer" | "auditor" | "billing") | null;
            /** @description Only verified addresses at these are let in; empty: any. */
            emailDomains?: string[];
            /** @description The claim that lists a person's groups; dots lead into it. */
            groupsClaim?: string;
            /** @description An operator answers for it: it may be at a private address, and the e-mail addresses that it has verified are people's. */
            isTrusted?: boolean;
            /** @description What people see: `Log in with LABEL`. */
            label?: string;
            /** @description So long a member's tokens and SSH keys work without a word of the provider about them; then they wait for the next login. Null: until the provider refuses them. */
            memberMaxAgeMs?: number | null;
            name?: string;
            /** @description Added to every request, such as `{ "prompt": "login" }`. */
            parameters?: {
                [key: string]: string;
            };
            /** @description `offline_access` lets a session go on for as long as the provider says yes. */
            scopes?: string[];
            /** @description No session lasts longer, whatever the provider says. */
            sessionMaxMs?: number;
        };
        /** @description What is left out stays as it is. Null takes the limit away: then the one for everybody holds, if there is one. A limit below what is taken ends nothing; it refuses more. */
        UpdateQuota: {
            /** @description vCPUs that one box may have. */
            boxCpus?: number | null;
            /** @description Disk that one box may have. */
            boxDiskGib?: number | null;
            /** @description Boxes, in any state but deleted. */
            boxes?: number | null;
            /** @description Memory that one box may have. */
            boxMemoryMib?: number | null;
            /** @description vCPUs of running boxes; template builds count. */
            cpus?: number | null;
            /** @description Boxes made in the last hour, also those that are deleted by now. */
            createsPerHour?: number | null;
            /** @description Disks of boxes in any state, at their full size. */
            diskGib?: number | null;
            /** @description GPUs of running boxes; template builds count. */
            gpus?: number | null;
            /** @description Memory of running boxes; template builds count. */
            memoryMib?: number | null;
            /** @description Boxes that run, or come up, or come to rest. */
            running?: number | null;
            /** @description Open previews that are not private. */
            sharedPorts?: number | null;
            /** @description Bytes of snapshots. A checkpoint counts as the most that it can be until it is taken. */
            snapshotBytes?: number | null;
            /** @description Ids or names of the only templates that boxes can be made from. */
            templates?: string[] | null;
        };
        UpdateTeam: {
            name: string;
        };
        Usage: {
            /** @description Null: nothing has a price. */
            currency: string | null;
            /**
             * Format: date-time
             * @description ISO 8601 in UTC.
             */
            from: string;
            /** @description False: only your own, and that of teams that you manage. */
            isWhole: boolean;
            rows: components["schemas"]["UsageRow"][];
            /**
             * Format: date-time
             * @description ISO 8601 in UTC.
             */
            to: string;
            /** @description What all rows cost. */
            total: string;
        };
        /** @description A CloudEvent (1.0): one hour of one resource. */
        UsageEvent: {
            data: {
                /** @description In that unit. */
                amount: string;
                /** @description An id: box_ and 20 characters. */
                boxId: string;
                /** @description A decimal, as in 12.5. */
                cost: string;
                currency: string | null;
                /**
                 * Format: date-time
                 * @description ISO 8601 in UTC.
                 */
                hour: string;
                /** @description An id: org_ and 20 characters. */
                orgId: string;
                /**
                 * @description vcpu: vCPUs of running boxes (vCPU-hour); memory: memory of running boxes (GiB-hour); gpu: GPUs of running boxes (GPU-hour); disk_running: disk of boxes on a node (GiB-hour); disk_paused: disk of paused boxes (GiB-hour); disk_stopped: disk of stopped boxes (GiB-hour); snapshot: snapshots, what each adds to the object store (GiB-hour); egress: bytes that leave a box (GiB)
                 * @enum {string}
                 */
                resource: "vcpu" | "memory" | "gpu" | "disk_running" | "disk_paused" | "disk_stopped" | "snapshot" | "egress";
                teamId: string | null;
                /** @description An id: tpl_ and 20 characters. */
                templateId: string;
                unit: string;
                /** @description An id: usr_ and 20 characters. */
                userId: string;
            };
            /** @constant */
            datacontenttype: "application/json";
            /** @description The same event has the same id, however often it is read. */
            id: string;
            source: string;
            /** @constant */
            specversion: "1.0";
            /** @description The box or snapshot. */
            subject: string;
            /**
             * Format: date-time
             * @description The end of the hour.
             */
            time: string;
            /** @constant */
            type: "dev.berth.usage.hour.v1";
        };
        UsageEvents: {
            /** @description A batch, as CloudEvents' JSON format has it. */
            events: (components["schemas"]["UsageEvent"] | components["schemas"]["BudgetEvent"])[];
            /** @description There is more now. */
            hasMore: boolean;
            /** @description Ask with it later: what comes is behind these events. */
            nextCursor: string;
        };
        UsageRow: {
            /** @description In that unit. */
            amount: string;
            /** @description When the hour or day began; null: of the whole time. */
            at: string | null;
            /** @description A decimal, as in 12.5. */
            cost: string;
            /** @description Of the box, user, team or template; null: of none. */
            id: string | null;
            name: string | null;
            /**
             * @description vcpu: vCPUs of running boxes (vCPU-hour); memory: memory of running boxes (GiB-hour); gpu: GPUs of running boxes (GPU-hour); disk_running: disk of boxes on a node (GiB-hour); disk_paused: disk of paused boxes (GiB-hour); disk_stopped: disk of stopped boxes (GiB-hour); snapshot: snapshots, what each adds to the object store (GiB-hour); egress: bytes that leave a box (GiB)
             * @enum {string}
             */
            resource: "vcpu" | "memory" | "gpu" | "disk_running" | "disk_paused" | "disk_stopped" | "snapshot" | "egress";
            unit: string;
        };
        Volume: {
            box: {
                /** @description An id: box_ and 20 characters. */
                id: string;
                name: string;
            } | null;
            /**
             * Format: date-time
             * @description ISO 8601 in UTC.
             */
            createdAt: string;
            /** @description An id: vol_ and 20 characters. */
            id: string;
            name: string;
            sizeGib: number;
        };
        VolumePage: {
            items: components["schemas"]["Volume"][];
            /** @description Null on the last page. */
            nextCursor: string | null;
        };
        WaitResult: {
            box: components["schemas"]["Box"];
            /** @description The goal cannot be reached without a change of intent. */
            hopeless: boolean;
            reached: boolean;
        };
        WebSession: {
            /**
             * Format: date-time
             * @description ISO 8601 in UTC.
             */
            expiresAt: string;
            /** @description An id: web_ and 20 characters. */
            id: string;
            user: components["schemas"]["Who"];
        };
        Who: {
            email: string | null;
            /** @description An id: usr_ and 20 characters. */
            id: string;
            /** @description Runs the installation: nodes, organizations. */
            isOperator: boolean;
            name: string;
            /** @description Where the credential acts. */
            org: {
                /** @description An id: org_ and 20 characters. */
                id: string;
                name: string;
            };
            /** @description Over everything of the organization, or over what is one's own. */
            permissions: ("box.read" | "box.create" | "box.control" | "box.delete" | "box.enter" | "box.share" | "template.read" | "template.write" | "snapshot.read" | "snapshot.delete" | "volume.read" | "node.read" | "node.manage" | "event.read" | "operation.read" | "system.read" | "key.manage" | "token.manage" | "preview.read" | "preview.share" | "org.read" | "org.manage" | "org.create" | "member.read" | "member.manage" | "team.read" | "team.manage" | "service.manage" | "quota.read" | "quota.manage" | "audit.read" | "audit.manage" | "usage.read" | "budget.manage" | "provider.manage")[];
            roles: ("owner" | "admin" | "template_author" | "member" | "viewer" | "auditor" | "billing")[];
            teams: {
                /** @description An id: team_ and 20 characters. */
                id: string;
                /** @enum {string} */
                role: "admin" | "member" | "viewer";
            }[];
        };
    };
    responses: never;
    parameters: never;
    requestBodies: never;
    headers: never;
    pathItems: never;
}
export type $defs = Record<string, never>;
export interface operations {
    "audit.list": {
        parameters: {
            query?: {
                /** @description Id or name of a user. */
                actor?: string;
                /** @description Where to go on: `nextCursor` of the last page. */
                cursor?: string;
                /** @description Page size. */
                limit?: number;
                order?: "newest" | "oldest";
                outcome?: "ok" | "refused" | "failed";
                /** @description An id or name of what was acted on. */
                resource?: string;
                /** @description Your organization's trail, or (for those who run it) the installation's. */
                scope?: "org" | "installation";
                /** @description ISO 8601 in UTC. */
                since?: string;
                /** @description Anywhere in an entry, whatever the case. */
                text?: string;
                /** @description ISO 8601 in UTC. */
                until?: string;
                /** @description `boxes.create`; `boxes.` for all of these. */
                verb?: string;
            };
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description List and search the audit trail */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["AuditPage"];
                };
            };
            /** @description A problem. */
            default: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
        };
    };
    "audit.export": {
        parameters: {
            query?: {
                /** @description The last `seq` that you have. */
                after?: number;
                /** @description Your organization's trail, or (for those who run it) the installation's. */
                scope?: "org" | "installation";
            };
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description Export the chain as JSON Lines */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/x-ndjson": components["schemas"]["AuditLine"];
                };
            };
            /** @description A problem. */
            default: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
        };
    };
    "audit.head": {
        parameters: {
            query?: {
                /** @description Your organization's trail, or (for those who run it) the installation's. */
                scope?: "org" | "installation";
            };
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description Show the signed head of the chain */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["AuditHead"];
                };
            };
            /** @description A problem. */
            default: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
        };
    };
    "audit.getPolicy": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description Show for how long the trail is kept */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["AuditPolicy"];
                };
            };
            /** @description A problem. */
            default: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
        };
    };
    "audit.updatePolicy": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody: {
            content: {
                "application/json": components["schemas"]["UpdateAuditPolicy"];
            };
        };
        responses: {
            /** @description Change for how long the trail is kept */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["AuditPolicy"];
                };
            };
            /** @description A problem. */
            default: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
        };
    };
    "audit.watch": {
        parameters: {
            query?: {
                /** @description Id or name of a user. */
                actor?: string;
                /** @description Continue after this entry; else it begins now. */
                cursor?: string;
                outcome?: "ok" | "refused" | "failed";
                /** @description An id or name of what was acted on. */
                resource?: string;
                /** @description Your organization's trail, or (for those who run it) the installation's. */
                scope?: "org" | "installation";
                /** @description ISO 8601 in UTC. */
                since?: string;
                /** @description Anywhere in an entry, whatever the case. */
                text?: string;
                /** @description ISO 8601 in UTC. */
                until?: string;
                /** @description `boxes.create`; `boxes.` for all of these. */
                verb?: string;
            };
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description Follow the audit trail */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "text/event-stream": components["schemas"]["AuditEntry"];
                };
            };
            /** @description A problem. */
            default: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
        };
    };
    "boxes.list": {
        parameters: {
            query?: {
                /** @description Where to go on: `nextCursor` of the last page. */
                cursor?: string;
                /** @description Page size. */
                limit?: number;
                /** @description Id or name of the template. */
                template?: string;
            };
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description List boxes */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["BoxPage"];
                };
            };
            /** @description A problem. */
            default: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
        };
    };
    "boxes.create": {
        parameters: {
            query?: never;
            header?: {
                /** @description Makes a repeat safe: the same key and body get the same answer. */
                "idempotency-key"?: string;
            };
            path?: never;
            cookie?: never;
        };
        requestBody: {
            content: {
                "application/json": components["schemas"]["CreateBox"];
            };
        };
        responses: {
            /** @description Create a box */
            202: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["BoxCreated"];
                };
            };
            /** @description A problem. */
            default: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
        };
    };
    "boxes.get": {
        parameters: {
            query?: never;
            header?: never;
            path: {
                /** @description Id or name of the box. */
                box: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description Show a box */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Box"];
                };
            };
            /** @description A problem. */
            default: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
        };
    };
    "boxes.delete": {
        parameters: {
            query?: never;
            header?: {
                /** @description Makes a repeat safe: the same key and body get the same answer. */
                "idempotency-key"?: string;
                /** @description Refuse unless the box still has this ETag. */
                "if-match"?: string;
            };
            path: {
                /** @description Id or name of the box. */
                box: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description Delete a box */
            202: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["BoxAccepted"];
                };
            };
            /** @description A problem. */
            default: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
        };
    };
    "boxes.update": {
        parameters: {
            query?: never;
            header?: {
                /** @description Makes a repeat safe: the same key and body get the same answer. */
                "idempotency-key"?: string;
            };
            path: {
                /** @description Id or name of the box. */
                box: string;
            };
            cookie?: never;
        };
        requestBody: {
            content: {
                "application/json": components["schemas"]["UpdateBox"];
            };
        };
        responses: {
            /** @description Hand a box over to another owner or team */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Box"];
                };
            };
            /** @description A problem. */
            default: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
        };
    };
    "checkpoints.create": {
        parameters: {
            query?: never;
            header?: {
                /** @description Makes a repeat safe: the same key and body get the same answer. */
                "idempotency-key"?: string;
            };
            path: {
                /** @description Id or name of the box. */
                box: string;
            };
            cookie?: never;
        };
        requestBody: {
            content: {
                "application/json": components["schemas"]["CreateCheckpoint"];
            };
        };
        responses: {
            /** @description Checkpoint a box */
            202: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["SnapshotAccepted"];
                };
            };
            /** @description A problem. */
            default: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
        };
    };
    "boxes.fork": {
        parameters: {
            query?: never;
            header?: {
                /** @description Makes a repeat safe: the same key and body get the same answer. */
                "idempotency-key"?: string;
            };
            path: {
                /** @description Id or name of the box. */
                box: string;
            };
            cookie?: never;
        };
        requestBody: {
            content: {
                "application/json": components["schemas"]["ForkBox"];
            };
        };
        responses: {
            /** @description Fork a box */
            202: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ForksAccepted"];
                };
            };
            /** @description A problem. */
            default: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
        };
    };
    "boxes.pause": {
        parameters: {
            query?: never;
            header?: {
                /** @description Makes a repeat safe: the same key and body get the same answer. */
                "idempotency-key"?: string;
                /** @description Refuse unless the box still has this ETag. */
                "if-match"?: string;
            };
            path: {
                /** @description Id or name of the box. */
                box: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description Pause a box */
            202: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["BoxAccepted"];
                };
            };
            /** @description A problem. */
            default: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
        };
    };
    "previews.open": {
        parameters: {
            query?: never;
            header?: {
                /** @description Makes a repeat safe: the same key and body get the same answer. */
                "idempotency-key"?: string;
            };
            path: {
                /** @description Id or name of the box. */
                box: string;
            };
            cookie?: never;
        };
        requestBody: {
            content: {
                "application/json": components["schemas"]["OpenPreview"];
            };
        };
        responses: {
            /** @description Open a preview of a port */
            201: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Preview"];
                };
            };
            /** @description A problem. */
            default: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
        };
    };
    "boxes.restart": {
        parameters: {
            query?: never;
            header?: {
                /** @description Makes a repeat safe: the same key and body get the same answer. */
                "idempotency-key"?: string;
                /** @description Refuse unless the box still has this ETag. */
                "if-match"?: string;
            };
            path: {
                /** @description Id or name of the box. */
                box: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description Restart a box */
            202: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["BoxAccepted"];
                };
            };
            /** @description A problem. */
            default: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
        };
    };
    "checkpoints.restore": {
        parameters: {
            query?: never;
            header?: {
                /** @description Makes a repeat safe: the same key and body get the same answer. */
                "idempotency-key"?: string;
                /** @description Refuse unless the box still has this ETag. */
                "if-match"?: string;
            };
            path: {
                /** @description Id or name of the box. */
                box: string;
            };
            cookie?: never;
        };
        requestBody: {
            content: {
                "application/json": components["schemas"]["RestoreCheckpoint"];
            };
        };
        responses: {
            /** @description Go back to a checkpoint */
            202: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["BoxAccepted"];
                };
            };
            /** @description A problem. */
            default: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
        };
    };
    "boxes.resume": {
        parameters: {
            query?: never;
            header?: {
                /** @description Makes a repeat safe: the same key and body get the same answer. */
                "idempotency-key"?: string;
                /** @description Refuse unless the box still has this ETag. */
                "if-match"?: string;
            };
            path: {
                /** @description Id or name of the box. */
                box: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description Resume a paused box */
            202: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["BoxAccepted"];
                };
            };
            /** @description A problem. */
            default: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
        };
    };
    "shares.list": {
        parameters: {
            query?: never;
            header?: never;
            path: {
                /** @description Id or name of the box. */
                box: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description List with whom a box is shared */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ShareList"];
                };
            };
            /** @description A problem. */
            default: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
        };
    };
    "shares.create": {
        parameters: {
            query?: never;
            header?: {
                /** @description Makes a repeat safe: the same key and body get the same answer. */
                "idempotency-key"?: string;
            };
            path: {
                /** @description Id or name of the box. */
                box: string;
            };
            cookie?: never;
        };
        requestBody: {
            content: {
                "application/json": components["schemas"]["CreateShare"];
            };
        };
        responses: {
            /** @description Share a box with a member or a team */
            201: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Share"];
                };
            };
            /** @description A problem. */
            default: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
        };
    };
    "shares.delete": {
        parameters: {
            query?: never;
            header?: {
                /** @description Makes a repeat safe: the same key and body get the same answer. */
                "idempotency-key"?: string;
            };
            path: {
                /** @description Id or name of the box. */
                box: string;
                /** @description Id or name of the share. */
                share: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description Take a share back, or give up one's own */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Share"];
                };
            };
            /** @description A problem. */
            default: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
        };
    };
    "access.sshCertificate": {
        parameters: {
            query?: never;
            header?: never;
            path: {
                /** @description Id or name of the box. */
                box: string;
            };
            cookie?: never;
        };
        requestBody: {
            content: {
                "application/json": components["schemas"]["CreateSshCertificate"];
            };
        };
        responses: {
            /** @description Sign an SSH key for a box */
            201: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["SshCertificate"];
                };
            };
            /** @description A problem. */
            default: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
        };
    };
    "boxes.start": {
        parameters: {
            query?: never;
            header?: {
                /** @description Makes a repeat safe: the same key and body get the same answer. */
                "idempotency-key"?: string;
                /** @description Refuse unless the box still has this ETag. */
                "if-match"?: string;
            };
            path: {
                /** @description Id or name of the box. */
                box: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description Start a box */
            202: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["BoxAccepted"];
                };
            };
            /** @description A problem. */
            default: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
        };
    };
    "boxes.stop": {
        parameters: {
            query?: never;
            header?: {
                /** @description Makes a repeat safe: the same key and body get the same answer. */
                "idempotency-key"?: string;
                /** @description Refuse unless the box still has this ETag. */
                "if-match"?: string;
            };
            path: {
                /** @description Id or name of the box. */
                box: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description Stop a box */
            202: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["BoxAccepted"];
                };
            };
            /** @description A problem. */
            default: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
        };
    };
    "access.ticket": {
        parameters: {
            query?: never;
            header?: never;
            path: {
                /** @description Id or name of the box. */
                box: string;
            };
            cookie?: never;
        };
        requestBody: {
            content: {
                "application/json": components["schemas"]["CreateTicket"];
            };
        };
        responses: {
            /** @description Get a ticket for streams into a box */
            201: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Ticket"];
                };
            };
            /** @description A problem. */
            default: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
        };
    };
    "boxes.wait": {
        parameters: {
            query: {
                for: "running" | "paused" | "stopped" | "deleted" | "settled" | "durable";
                timeoutMs?: number;
            };
            header?: never;
            path: {
                /** @description Id or name of the box. */
                box: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description Wait until a box reaches a goal */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["WaitResult"];
                };
            };
            /** @description A problem. */
            default: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
        };
    };
    "budgets.list": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description List budgets */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Budgets"];
                };
            };
            /** @description A problem. */
            default: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
        };
    };
    "budgets.set": {
        parameters: {
            query?: never;
            header?: {
                /** @description Makes a repeat safe: the same key and body get the same answer. */
                "idempotency-key"?: string;
            };
            path?: never;
            cookie?: never;
        };
        requestBody: {
            content: {
                "application/json": components["schemas"]["SetBudget"];
            };
        };
        responses: {
            /** @description Set the budget of the organization or of a team */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Budget"];
                };
            };
            /** @description A problem. */
            default: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
        };
    };
    "budgets.delete": {
        parameters: {
            query?: never;
            header?: {
                /** @description Makes a repeat safe: the same key and body get the same answer. */
                "idempotency-key"?: string;
            };
            path: {
                /** @description Id or name of the budget. */
                budget: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description Delete a budget */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Budget"];
                };
            };
            /** @description A problem. */
            default: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
        };
    };
    "events.list": {
        parameters: {
            query?: {
                /** @description Id or name of the box. */
                box?: string;
                /** @description Where to go on: `nextCursor` of the last page. */
                cursor?: string;
                /** @description Page size. */
                limit?: number;
                order?: "newest" | "oldest";
            };
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description List events */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["EventPage"];
                };
            };
            /** @description A problem. */
            default: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
        };
    };
    "orgs.listAll": {
        parameters: {
            query?: {
                /** @description Where to go on: `nextCursor` of the last page. */
                cursor?: string;
                /** @description Page size. */
                limit?: number;
            };
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description List every organization of the installation */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["InstallationOrgPage"];
                };
            };
            /** @description A problem. */
            default: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
        };
    };
    "invitations.list": {
        parameters: {
            query?: {
                /** @description Where to go on: `nextCursor` of the last page. */
                cursor?: string;
                /** @description Page size. */
                limit?: number;
            };
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description List invitations that can still be taken */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["InvitationPage"];
                };
            };
            /** @description A problem. */
            default: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
        };
    };
    "invitations.create": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody: {
            content: {
                "application/json": components["schemas"]["CreateInvitation"];
            };
        };
        responses: {
            /** @description Invite somebody */
            201: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["CreatedInvitation"];
                };
            };
            /** @description A problem. */
            default: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
        };
    };
    "invitations.delete": {
        parameters: {
            query?: never;
            header?: {
                /** @description Makes a repeat safe: the same key and body get the same answer. */
                "idempotency-key"?: string;
            };
            path: {
                /** @description Id or name of the invitation. */
                invitation: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description Take an invitation back */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Invitation"];
                };
            };
            /** @description A problem. */
            default: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
        };
    };
    "invitations.accept": {
        parameters: {
            query?: never;
            header?: {
                /** @description Makes a repeat safe: the same key and body get the same answer. */
                "idempotency-key"?: string;
            };
            path?: never;
            cookie?: never;
        };
        requestBody: {
            content: {
                "application/json": components["schemas"]["AcceptInvitation"];
            };
        };
        responses: {
            /** @description Join an organization that I was invited to */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Invitation"];
                };
            };
            /** @description A problem. */
            default: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
        };
    };
    "invitations.register": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody: {
            content: {
                "application/json": components["schemas"]["Register"];
            };
        };
        responses: {
            /** @description Join as a new user, without a provider */
            201: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Registered"];
                };
            };
            /** @description A problem. */
            default: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
        };
    };
    "members.list": {
        parameters: {
            query?: {
                /** @description Where to go on: `nextCursor` of the last page. */
                cursor?: string;
                /** @description Page size. */
                limit?: number;
            };
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description List members */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["MemberPage"];
                };
            };
            /** @description A problem. */
            default: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
        };
    };
    "members.get": {
        parameters: {
            query?: never;
            header?: never;
            path: {
                /** @description Id, e-mail address or name of a member. */
                member: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description Show a member */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Member"];
                };
            };
            /** @description A problem. */
            default: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
        };
    };
    "members.remove": {
        parameters: {
            query?: never;
            header?: {
                /** @description Makes a repeat safe: the same key and body get the same answer. */
                "idempotency-key"?: string;
            };
            path: {
                /** @description Id, e-mail address or name of a member. */
                member: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description Remove a member, or leave */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Member"];
                };
            };
            /** @description A problem. */
            default: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
        };
    };
    "members.update": {
        parameters: {
            query?: never;
            header?: {
                /** @description Makes a repeat safe: the same key and body get the same answer. */
                "idempotency-key"?: string;
            };
            path: {
                /** @description Id, e-mail address or name of a member. */
                member: string;
            };
            cookie?: never;
        };
        requestBody: {
            content: {
                "application/json": components["schemas"]["UpdateMember"];
            };
        };
        responses: {
            /** @description Set the roles of a member */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Member"];
                };
            };
            /** @description A problem. */
            default: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
        };
    };
    "nodes.list": {
        parameters: {
            query?: {
                /** @description Where to go on: `nextCursor` of the last page. */
                cursor?: string;
                /** @description Page size. */
                limit?: number;
            };
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description List nodes */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["NodePage"];
                };
            };
            /** @description A problem. */
            default: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
        };
    };
    "nodes.get": {
        parameters: {
            query?: never;
            header?: never;
            path: {
                /** @description Id or name of the node. */
                node: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description Show a node */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Node"];
                };
            };
            /** @description A problem. */
            default: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
        };
    };
    "nodes.delete": {
        parameters: {
            query?: never;
            header?: never;
            path: {
                /** @description Id or name of the node. */
                node: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description Remove a node that will not come back */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Node"];
                };
            };
            /** @description A problem. */
            default: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
        };
    };
    "nodes.update": {
        parameters: {
            query?: never;
            header?: never;
            path: {
                /** @description Id or name of the node. */
                node: string;
            };
            cookie?: never;
        };
        requestBody: {
            content: {
                "application/json": components["schemas"]["UpdateNode"];
            };
        };
        responses: {
            /** @description Keep new boxes away from a node or let them in; set how much it may promise */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Node"];
                };
            };
            /** @description A problem. */
            default: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
        };
    };
    "nodes.drain": {
        parameters: {
            query?: never;
            header?: never;
            path: {
                /** @description Id or name of the node. */
                node: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description Bring the boxes of a node to rest */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Drain"];
                };
            };
            /** @description A problem. */
            default: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
        };
    };
    "nodes.createJoinToken": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody: {
            content: {
                "application/json": components["schemas"]["CreateJoinToken"];
            };
        };
        responses: {
            /** @description Make a token that lets one node join */
            201: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["JoinToken"];
                };
            };
            /** @description A problem. */
            default: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
        };
    };
    "operations.get": {
        parameters: {
            query?: never;
            header?: never;
            path: {
                /** @description Id or name of the operation. */
                operation: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description Show an operation */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Operation"];
                };
            };
            /** @description A problem. */
            default: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
        };
    };
    "org.get": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description Show my organization */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Org"];
                };
            };
            /** @description A problem. */
            default: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
        };
    };
    "org.update": {
        parameters: {
            query?: never;
            header?: {
                /** @description Makes a repeat safe: the same key and body get the same answer. */
                "idempotency-key"?: string;
            };
            path?: never;
            cookie?: never;
        };
        requestBody: {
            content: {
                "application/json": components["schemas"]["UpdateOrg"];
            };
        };
        responses: {
            /** @description Change the name or the rules of my organization */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Org"];
                };
            };
            /** @description A problem. */
            default: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
        };
    };
    "orgs.list": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description List the organizations that I belong to */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["OrgList"];
                };
            };
            /** @description A problem. */
            default: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
        };
    };
    "orgs.create": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody: {
            content: {
                "application/json": components["schemas"]["CreateOrg"];
            };
        };
        responses: {
            /** @description Make an organization */
            201: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["CreatedOrg"];
                };
            };
            /** @description A problem. */
            default: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
        };
    };
    "orgs.switch": {
        parameters: {
            query?: never;
            header?: never;
            path: {
                /** @description Id or name of the organization. */
                org: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description Let this session act in another organization */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["MyOrg"];
                };
            };
            /** @description A problem. */
            default: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
        };
    };
    "previews.list": {
        parameters: {
            query?: {
                /** @description Id or name of the box. */
                box?: string;
                /** @description Where to go on: `nextCursor` of the last page. */
                cursor?: string;
                /** @description Page size. */
                limit?: number;
            };
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description List open previews */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["PreviewPage"];
                };
            };
            /** @description A problem. */
            default: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
        };
    };
    "previews.close": {
        parameters: {
            query?: never;
            header?: {
                /** @description Makes a repeat safe: the same key and body get the same answer. */
                "idempotency-key"?: string;
            };
            path: {
                /** @description Id or name of the preview. */
                preview: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description Close a preview */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Preview"];
                };
            };
            /** @description A problem. */
            default: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
        };
    };
    "previews.update": {
        parameters: {
            query?: never;
            header?: {
                /** @description Makes a repeat safe: the same key and body get the same answer. */
                "idempotency-key"?: string;
            };
            path: {
                /** @description Id or name of the preview. */
                preview: string;
            };
            cookie?: never;
        };
        requestBody: {
            content: {
                "application/json": components["schemas"]["UpdatePreview"];
            };
        };
        responses: {
            /** @description Change who may see a preview */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Preview"];
                };
            };
            /** @description A problem. */
            default: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
        };
    };
    "previews.listLinks": {
        parameters: {
            query?: {
                /** @description Where to go on: `nextCursor` of the last page. */
                cursor?: string;
                /** @description Page size. */
                limit?: number;
            };
            header?: never;
            path: {
                /** @description Id or name of the preview. */
                preview: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description List the links of a preview */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["PreviewLinkPage"];
                };
            };
            /** @description A problem. */
            default: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
        };
    };
    "previews.createLink": {
        parameters: {
            query?: never;
            header?: {
                /** @description Makes a repeat safe: the same key and body get the same answer. */
                "idempotency-key"?: string;
            };
            path: {
                /** @description Id or name of the preview. */
                preview: string;
            };
            cookie?: never;
        };
        requestBody: {
            content: {
                "application/json": components["schemas"]["CreatePreviewLink"];
            };
        };
        responses: {
            /** @description Make a link that opens a preview for a while */
            201: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["CreatedPreviewLink"];
                };
            };
            /** @description A problem. */
            default: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
        };
    };
    "previews.deleteLink": {
        parameters: {
            query?: never;
            header?: {
                /** @description Makes a repeat safe: the same key and body get the same answer. */
                "idempotency-key"?: string;
            };
            path: {
                /** @description Id or name of the link. */
                link: string;
                /** @description Id or name of the preview. */
                preview: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description Take a link back */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["PreviewLink"];
                };
            };
            /** @description A problem. */
            default: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
        };
    };
    "prices.get": {
        parameters: {
            query?: {
                /** @description Another organization than one's own: for operators. */
                org?: string;
            };
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description Show the prices that hold for the organization */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["PriceBook"];
                };
            };
            /** @description A problem. */
            default: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
        };
    };
    "prices.set": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody: {
            content: {
                "application/json": components["schemas"]["SetPrices"];
            };
        };
        responses: {
            /** @description Set prices */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["PriceBook"];
                };
            };
            /** @description A problem. */
            default: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
        };
    };
    "prices.estimate": {
        parameters: {
            query: {
                /** @description Id or name of the template. */
                template: string;
                version?: number;
            };
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description Show what a box of a template costs for an hour */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Estimate"];
                };
            };
            /** @description A problem. */
            default: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
        };
    };
    "providers.list": {
        parameters: {
            query?: {
                /** @description Where to go on: `nextCursor` of the last page. */
                cursor?: string;
                /** @description Page size. */
                limit?: number;
            };
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description List identity providers */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ProviderPage"];
                };
            };
            /** @description A problem. */
            default: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
        };
    };
    "providers.create": {
        parameters: {
            query?: never;
            header?: {
                /** @description Makes a repeat safe: the same key and body get the same answer. */
                "idempotency-key"?: string;
            };
            path?: never;
            cookie?: never;
        };
        requestBody: {
            content: {
                "application/json": components["schemas"]["CreateProvider"];
            };
        };
        responses: {
            /** @description Set up an identity provider */
            201: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Provider"];
                };
            };
            /** @description A problem. */
            default: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
        };
    };
    "providers.get": {
        parameters: {
            query?: never;
            header?: never;
            path: {
                /** @description Id or name of the provider. */
                provider: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description Show an identity provider */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Provider"];
                };
            };
            /** @description A problem. */
            default: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
        };
    };
    "providers.delete": {
        parameters: {
            query?: never;
            header?: {
                /** @description Makes a repeat safe: the same key and body get the same answer. */
                "idempotency-key"?: string;
            };
            path: {
                /** @description Id or name of the provider. */
                provider: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description Remove an identity provider */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Provider"];
                };
            };
            /** @description A problem. */
            default: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
        };
    };
    "providers.update": {
        parameters: {
            query?: never;
            header?: {
                /** @description Makes a repeat safe: the same key and body get the same answer. */
                "idempotency-key"?: string;
            };
            path: {
                /** @description Id or name of the provider. */
                provider: string;
            };
            cookie?: never;
        };
        requestBody: {
            content: {
                "application/json": components["schemas"]["UpdateProvider"];
            };
        };
        responses: {
            /** @description Change an identity provider */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Provider"];
                };
            };
            /** @description A problem. */
            default: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
        };
    };
    "providers.groups": {
        parameters: {
            query?: never;
            header?: never;
            path: {
                /** @description Id or name of the provider. */
                provider: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description Show what a provider's groups mean in my organization */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ProviderGroups"];
                };
            };
            /** @description A problem. */
            default: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
        };
    };
    "providers.setGroups": {
        parameters: {
            query?: never;
            header?: never;
            path: {
                /** @description Id or name of the provider. */
                provider: string;
            };
            cookie?: never;
        };
        requestBody: {
            content: {
                "application/json": components["schemas"]["SetProviderGroups"];
            };
        };
        responses: {
            /** @description Say what a provider's groups mean in my organization */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ProviderGroups"];
                };
            };
            /** @description A problem. */
            default: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
        };
    };
    "quotas.get": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description Show what I, my teams and my organization take, beside what we may */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Quotas"];
                };
            };
            /** @description A problem. */
            default: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
        };
    };
    "quotas.setDefault": {
        parameters: {
            query?: never;
            header?: never;
            path: {
                scope: "team" | "user";
            };
            cookie?: never;
        };
        requestBody: {
            content: {
                "application/json": components["schemas"]["UpdateQuota"];
            };
        };
        responses: {
            /** @description Set the limits of every team or every user that has none of its own */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["QuotaLimits"];
                };
            };
            /** @description A problem. */
            default: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
        };
    };
    "quotas.list": {
        parameters: {
            query: {
                /** @description Where to go on: `nextCursor` of the last page. */
                cursor?: string;
                /** @description Page size. */
                limit?: number;
                /** @description Of whom. */
                scope: "team" | "user";
            };
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description List what each team or each user takes */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["QuotaPage"];
                };
            };
            /** @description A problem. */
            default: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
        };
    };
    "quotas.getInstallation": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description Show the limits of every organization, team and user that has none of its own */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["InstallationQuotas"];
                };
            };
            /** @description A problem. */
            default: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
        };
    };
    "quotas.setInstallation": {
        parameters: {
            query?: never;
            header?: never;
            path: {
                scope: "org" | "team" | "user";
            };
            cookie?: never;
        };
        requestBody: {
            content: {
                "application/json": components["schemas"]["UpdateInstallationQuota"];
            };
        };
        responses: {
            /** @description Set the limits of every organization, team or user of the installation */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["InstallationQuotas"];
                };
            };
            /** @description A problem. */
            default: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
        };
    };
    "quotas.getOrg": {
        parameters: {
            query?: never;
            header?: never;
            path: {
                /** @description Id or name of the organization. */
                org: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description Show what an organization takes */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Quota"];
                };
            };
            /** @description A problem. */
            default: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
        };
    };
    "quotas.setOrg": {
        parameters: {
            query?: never;
            header?: never;
            path: {
                /** @description Id or name of the organization. */
                org: string;
            };
            cookie?: never;
        };
        requestBody: {
            content: {
                "application/json": components["schemas"]["UpdateQuota"];
            };
        };
        responses: {
            /** @description Set the limits of an organization */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Quota"];
                };
            };
            /** @description A problem. */
            default: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
        };
    };
    "quotas.setTeam": {
        parameters: {
            query?: never;
            header?: never;
            path: {
                /** @description Id or name of the team. */
                team: string;
            };
            cookie?: never;
        };
        requestBody: {
            content: {
                "application/json": components["schemas"]["UpdateQuota"];
            };
        };
        responses: {
            /** @description Set the limits of a team */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Quota"];
                };
            };
            /** @description A problem. */
            default: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
        };
    };
    "quotas.setUser": {
        parameters: {
            query?: never;
            header?: never;
            path: {
                /** @description Id, name or email of the user. */
                user: string;
            };
            cookie?: never;
        };
        requestBody: {
            content: {
                "application/json": components["schemas"]["UpdateQuota"];
            };
        };
        responses: {
            /** @description Set the limits of a user */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Quota"];
                };
            };
            /** @description A problem. */
            default: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
        };
    };
    "scimTokens.list": {
        parameters: {
            query?: {
                /** @description Where to go on: `nextCursor` of the last page. */
                cursor?: string;
                /** @description Page size. */
                limit?: number;
            };
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description List the tokens of directories */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ScimTokenPage"];
                };
            };
            /** @description A problem. */
            default: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
        };
    };
    "scimTokens.create": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody: {
            content: {
                "application/json": components["schemas"]["CreateScimToken"];
            };
        };
        responses: {
            /** @description Make a token for a directory */
            201: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["CreatedScimToken"];
                };
            };
            /** @description A problem. */
            default: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
        };
    };
    "scimTokens.delete": {
        parameters: {
            query?: never;
            header?: {
                /** @description Makes a repeat safe: the same key and body get the same answer. */
                "idempotency-key"?: string;
            };
            path: {
                /** @description Id or name of the SCIM token. */
                token: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description Revoke a token of a directory */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ScimToken"];
                };
            };
            /** @description A problem. */
            default: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
        };
    };
    "serviceAccounts.list": {
        parameters: {
            query?: {
                /** @description Where to go on: `nextCursor` of the last page. */
                cursor?: string;
                /** @description Page size. */
                limit?: number;
            };
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description List service accounts */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["MemberPage"];
                };
            };
            /** @description A problem. */
            default: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
        };
    };
    "serviceAccounts.create": {
        parameters: {
            query?: never;
            header?: {
                /** @description Makes a repeat safe: the same key and body get the same answer. */
                "idempotency-key"?: string;
            };
            path?: never;
            cookie?: never;
        };
        requestBody: {
            content: {
                "application/json": components["schemas"]["CreateServiceAccount"];
            };
        };
        responses: {
            /** @description Make a service account */
            201: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Member"];
                };
            };
            /** @description A problem. */
            default: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
        };
    };
    "serviceAccounts.delete": {
        parameters: {
            query?: never;
            header?: {
                /** @description Makes a repeat safe: the same key and body get the same answer. */
                "idempotency-key"?: string;
            };
            path: {
                /** @description Id or name of the service account. */
                account: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description Delete a service account */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Member"];
                };
            };
            /** @description A problem. */
            default: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
        };
    };
    "serviceAccounts.tokens": {
        parameters: {
            query?: {
                /** @description Where to go on: `nextCursor` of the last page. */
                cursor?: string;
                /** @description Page size. */
                limit?: number;
            };
            header?: never;
            path: {
                /** @description Id or name of the service account. */
                account: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description List the tokens of a service account */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["TokenPage"];
                };
            };
            /** @description A problem. */
            default: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
        };
    };
    "serviceAccounts.createToken": {
        parameters: {
            query?: never;
            header?: never;
            path: {
                /** @description Id or name of the service account. */
                account: string;
            };
            cookie?: never;
        };
        requestBody: {
            content: {
                "application/json": components["schemas"]["CreateToken"];
            };
        };
        responses: {
            /** @description Make a token of a service account */
            201: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["CreatedToken"];
                };
            };
            /** @description A problem. */
            default: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
        };
    };
    "serviceAccounts.deleteToken": {
        parameters: {
            query?: {
                /** @description `made`: what was made with it goes on. For a token that its successor was made with. */
                keep?: "made";
            };
            header?: {
                /** @description Makes a repeat safe: the same key and body get the same answer. */
                "idempotency-key"?: string;
            };
            path: {
                /** @description Id or name of the service account. */
                account: string;
                /** @description Id or name of the token. */
                token: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description Revoke a token of a service account */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["DeletedToken"];
                };
            };
            /** @description A problem. */
            default: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
        };
    };
    "snapshots.list": {
        parameters: {
            query?: {
                /** @description Id or name of the box. */
                box?: string;
                /** @description Where to go on: `nextCursor` of the last page. */
                cursor?: string;
                kind?: "pause" | "stop" | "fork" | "checkpoint" | "prebuild";
                /** @description Page size. */
                limit?: number;
            };
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description List snapshots */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["SnapshotPage"];
                };
            };
            /** @description A problem. */
            default: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
        };
    };
    "snapshots.get": {
        parameters: {
            query?: never;
            header?: never;
            path: {
                /** @description Id or name of the snapshot. */
                snapshot: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description Show a snapshot */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Snapshot"];
                };
            };
            /** @description A problem. */
            default: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
        };
    };
    "snapshots.delete": {
        parameters: {
            query?: never;
            header?: {
                /** @description Makes a repeat safe: the same key and body get the same answer. */
                "idempotency-key"?: string;
            };
            path: {
                /** @description Id or name of the snapshot. */
                snapshot: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description Delete a snapshot */
            202: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["SnapshotAccepted"];
                };
            };
            /** @description A problem. */
            default: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
        };
    };
    "keys.list": {
        parameters: {
            query?: {
                /** @description Where to go on: `nextCursor` of the last page. */
                cursor?: string;
                /** @description Page size. */
                limit?: number;
            };
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description List my SSH keys */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["SshKeyPage"];
                };
            };
            /** @description A problem. */
            default: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
        };
    };
    "keys.create": {
        parameters: {
            query?: never;
            header?: {
                /** @description Makes a repeat safe: the same key and body get the same answer. */
                "idempotency-key"?: string;
            };
            path?: never;
            cookie?: never;
        };
        requestBody: {
            content: {
                "application/json": components["schemas"]["CreateSshKey"];
            };
        };
        responses: {
            /** @description Register an SSH key */
            201: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["SshKey"];
                };
            };
            /** @description A problem. */
            default: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
        };
    };
    "keys.delete": {
        parameters: {
            query?: never;
            header?: {
                /** @description Makes a repeat safe: the same key and body get the same answer. */
                "idempotency-key"?: string;
            };
            path: {
                /** @description Id or name of the key. */
                key: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description Forget an SSH key */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["SshKey"];
                };
            };
            /** @description A problem. */
            default: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
        };
    };
    "access.sshAuthority": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description Show the SSH certificate authorities */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["SshAuthority"];
                };
            };
            /** @description A problem. */
            default: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
        };
    };
    "system.get": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description Show the installation and who I am */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["System"];
                };
            };
            /** @description A problem. */
            default: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
        };
    };
    "teams.list": {
        parameters: {
            query?: {
                /** @description Where to go on: `nextCursor` of the last page. */
                cursor?: string;
                /** @description Page size. */
                limit?: number;
            };
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description List teams */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["TeamPage"];
                };
            };
            /** @description A problem. */
            default: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
        };
    };
    "teams.create": {
        parameters: {
            query?: never;
            header?: {
                /** @description Makes a repeat safe: the same key and body get the same answer. */
                "idempotency-key"?: string;
            };
            path?: never;
            cookie?: never;
        };
        requestBody: {
            content: {
                "application/json": components["schemas"]["CreateTeam"];
            };
        };
        responses: {
            /** @description Make a team */
            201: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Team"];
                };
            };
            /** @description A problem. */
            default: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
        };
    };
    "teams.get": {
        parameters: {
            query?: never;
            header?: never;
            path: {
                /** @description Id or name of the team. */
                team: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description Show a team */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Team"];
                };
            };
            /** @description A problem. */
            default: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
        };
    };
    "teams.delete": {
        parameters: {
            query?: never;
            header?: {
                /** @description Makes a repeat safe: the same key and body get the same answer. */
                "idempotency-key"?: string;
            };
            path: {
                /** @description Id or name of the team. */
                team: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description Delete a team */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Team"];
                };
            };
            /** @description A problem. */
            default: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
        };
    };
    "teams.update": {
        parameters: {
            query?: never;
            header?: {
                /** @description Makes a repeat safe: the same key and body get the same answer. */
                "idempotency-key"?: string;
            };
            path: {
                /** @description Id or name of the team. */
                team: string;
            };
            cookie?: never;
        };
        requestBody: {
            content: {
                "application/json": components["schemas"]["UpdateTeam"];
            };
        };
        responses: {
            /** @description Rename a team */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Team"];
                };
            };
            /** @description A problem. */
            default: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
        };
    };
    "teams.members": {
        parameters: {
            query?: {
                /** @description Where to go on: `nextCursor` of the last page. */
                cursor?: string;
                /** @description Page size. */
                limit?: number;
            };
            header?: never;
            path: {
                /** @description Id or name of the team. */
                team: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description List who is in a team */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["TeamMemberPage"];
                };
            };
            /** @description A problem. */
            default: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
        };
    };
    "teams.setMember": {
        parameters: {
            query?: never;
            header?: {
                /** @description Makes a repeat safe: the same key and body get the same answer. */
                "idempotency-key"?: string;
            };
            path: {
                /** @description Id or name of the team. */
                team: string;
            };
            cookie?: never;
        };
        requestBody: {
            content: {
                "application/json": components["schemas"]["SetTeamMember"];
            };
        };
        responses: {
            /** @description Add a member to a team, or change what they are in it */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["TeamMember"];
                };
            };
            /** @description A problem. */
            default: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
        };
    };
    "teams.removeMember": {
        parameters: {
            query?: never;
            header?: {
                /** @description Makes a repeat safe: the same key and body get the same answer. */
                "idempotency-key"?: string;
            };
            path: {
                /** @description Id, e-mail address or name of a member. */
                member: string;
                /** @description Id or name of the team. */
                team: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description Remove a member from a team, or leave it */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["TeamMember"];
                };
            };
            /** @description A problem. */
            default: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
        };
    };
    "templates.list": {
        parameters: {
            query?: {
                /** @description Where to go on: `nextCursor` of the last page. */
                cursor?: string;
                /** @description Page size. */
                limit?: number;
            };
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description List templates */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["TemplatePage"];
                };
            };
            /** @description A problem. */
            default: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
        };
    };
    "templates.create": {
        parameters: {
            query?: never;
            header?: {
                /** @description Makes a repeat safe: the same key and body get the same answer. */
                "idempotency-key"?: string;
            };
            path?: never;
            cookie?: never;
        };
        requestBody: {
            content: {
                "application/json": components["schemas"]["TemplateDefinition"];
            };
        };
        responses: {
            /** @description Create a template, or a new version of it */
            202: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["TemplateAccepted"];
                };
            };
            /** @description A problem. */
            default: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
        };
    };
    "templates.get": {
        parameters: {
            query?: never;
            header?: never;
            path: {
                /** @description Id or name of the template. */
                template: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description Show a template */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Template"];
                };
            };
            /** @description A problem. */
            default: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
        };
    };
    "templates.delete": {
        parameters: {
            query?: never;
            header?: {
                /** @description Makes a repeat safe: the same key and body get the same answer. */
                "idempotency-key"?: string;
            };
            path: {
                /** @description Id or name of the template. */
                template: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description Delete a template */
            202: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["TemplateAccepted"];
                };
            };
            /** @description A problem. */
            default: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
        };
    };
    "templates.versions": {
        parameters: {
            query?: {
                /** @description Where to go on: `nextCursor` of the last page. */
                cursor?: string;
                /** @description Page size. */
                limit?: number;
            };
            header?: never;
            path: {
                /** @description Id or name of the template. */
                template: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description List the versions of a template */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["TemplateVersionPage"];
                };
            };
            /** @description A problem. */
            default: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
        };
    };
    "templates.version": {
        parameters: {
            query?: never;
            header?: never;
            path: {
                /** @description Id or name of the template. */
                template: string;
                version: number;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description Show a version of a template */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["TemplateVersionDetail"];
                };
            };
            /** @description A problem. */
            default: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
        };
    };
    "templates.build": {
        parameters: {
            query?: never;
            header?: {
                /** @description Makes a repeat safe: the same key and body get the same answer. */
                "idempotency-key"?: string;
            };
            path: {
                /** @description Id or name of the template. */
                template: string;
                version: number;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description Build a version again */
            202: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["TemplateAccepted"];
                };
            };
            /** @description A problem. */
            default: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
        };
    };
    "tokens.list": {
        parameters: {
            query?: {
                /** @description Where to go on: `nextCursor` of the last page. */
                cursor?: string;
                /** @description Page size. */
                limit?: number;
            };
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description List my API tokens */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["TokenPage"];
                };
            };
            /** @description A problem. */
            default: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
        };
    };
    "tokens.create": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody: {
            content: {
                "application/json": components["schemas"]["CreateToken"];
            };
        };
        responses: {
            /** @description Make an API token */
            201: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["CreatedToken"];
                };
            };
            /** @description A problem. */
            default: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
        };
    };
    "tokens.delete": {
        parameters: {
            query?: {
                /** @description `made`: what was made with it goes on. For a token that its successor was made with. */
                keep?: "made";
            };
            header?: {
                /** @description Makes a repeat safe: the same key and body get the same answer. */
                "idempotency-key"?: string;
            };
            path: {
                /** @description Id or name of the token. */
                token: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description Revoke an API token */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["DeletedToken"];
                };
            };
            /** @description A problem. */
            default: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
        };
    };
    "usage.get": {
        parameters: {
            query?: {
                /** @description Id or name of the box. */
                box?: string;
                /** @description A row for each. */
                by?: "total" | "box" | "user" | "team" | "template";
                /** @description From the hour that this is in; default: of this month. */
                from?: string;
                /** @description A row for each, of UTC. */
                step?: "none" | "hour" | "day";
                /** @description Id or name of the team. */
                team?: string;
                /** @description Id or name of the template. */
                template?: string;
                /** @description To the end of the hour before this; default: now. */
                to?: string;
                /** @description Id or name of a user. */
                user?: string;
            };
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description Show usage and what it costs */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Usage"];
                };
            };
            /** @description A problem. */
            default: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
        };
    };
    "usage.events": {
        parameters: {
            query?: {
                /** @description Of every organization; for who runs the installation. */
                all?: "true" | "false";
                /** @description Where to go on: `nextCursor` of the last page. */
                cursor?: string;
                limit?: number;
            };
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description Export usage, and what budgets reach, as CloudEvents */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["UsageEvents"];
                };
            };
            /** @description A problem. */
            default: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
        };
    };
    "volumes.list": {
        parameters: {
            query?: {
                /** @description Id or name of the box. */
                box?: string;
                /** @description Where to go on: `nextCursor` of the last page. */
                cursor?: string;
                /** @description Page size. */
                limit?: number;
            };
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description List volumes */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["VolumePage"];
                };
            };
            /** @description A problem. */
            default: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
        };
    };
    "volumes.get": {
        parameters: {
            query?: never;
            header?: never;
            path: {
                /** @description Id or name of the volume. */
                volume: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description Show a volume */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Volume"];
                };
            };
            /** @description A problem. */
            default: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
        };
    };
    "events.watch": {
        parameters: {
            query?: {
                /** @description Only events that concern this box. */
                box?: string;
                /** @description Continue after this event. Without it the stream begins now. */
                cursor?: string;
            };
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description Follow events as they happen */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "text/event-stream": components["schemas"]["Event"];
                };
            };
            /** @description A problem. */
            default: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
        };
    };
    "webSessions.create": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody: {
            content: {
                "application/json": components["schemas"]["CreateWebSession"];
            };
        };
        responses: {
            /** @description Log a browser in */
            201: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["WebSession"];
                };
            };
            /** @description A problem. */
            default: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
        };
    };
    "webSessions.delete": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description Log a browser out */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["EndedWebSession"];
                };
            };
            /** @description A problem. */
            default: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
        };
    };
}
