-- What nodes and loops ask for all the time is found without reading every box or snapshot.

-- Which base images are needed: the next one after another.
create index boxes_image on boxes (image_digest) where deleted_at is null;
create index snapshots_image on snapshots (image_digest) where state not in ('failed', 'deleted');
create index template_versions_image on template_versions (image_digest);

-- What is to be settled (src/store/settle.ts).
create index boxes_ending on boxes (id) where desired = 'deleted' and deleted_at is null;
create index boxes_resting on boxes (id) where reserved and rest_snapshot_id is not null and deleted_at is null;
create index boxes_faulty on boxes (id) where reserved and fault is not null and deleted_at is null;
create index snapshots_lost on snapshots (id) where state in ('failed', 'deleting');
create index snapshots_gone on snapshots (deleted_at) where state = 'deleted';

create index template_versions_prebuild on template_versions (prebuild_snapshot_id) where prebuild_snapshot_id is not null;
create index users_operators on users (created_at) where is_operator;
