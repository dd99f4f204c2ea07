-- Who is named in a search of the audit trail or of usage.
create index users_name on users (name);
