-- +goose Up
-- The same tables as in ../sqlite/00001_tables.sql. Times are microseconds since the epoch.
-- Text is compared by its bytes (collate "C"), as SQLite does, whatever the locale of the database.

create table manifests (
    id         bigint generated always as identity unique,
    hash       text collate "C" primary key,
    path       text collate "C" not null,
    kind       text collate "C" not null,
    size       bigint not null,
    created_at bigint not null
);

-- The row that writers of links and tags lock; links is the number of the last link, and
-- updated_at, when links or tags changed last, never goes back.
create table datasets (
    id         bigint generated always as identity primary key,
    namespace  text collate "C" not null,
    name       text collate "C" not null,
    links      bigint not null default 0,
    created_at bigint not null,
    updated_at bigint not null default 0,
    unique (namespace, name)
);

create table dataset_manifests (
    namespace  text collate "C" not null,
    name       text collate "C" not null,
    hash       text collate "C" not null references manifests (hash),
    link_no    bigint not null,
    created_at bigint not null,
    linked_at  bigint not null,
    primary key (namespace, name, hash),
    foreign key (namespace, name) references datasets (namespace, name)
);
create index dataset_manifests_hash on dataset_manifests (hash);

-- version is a semantic version, or 'latest' (target: the semantic version it denotes) or 'dev' (target: the hash).
-- A 'latest' or 'dev' that moves is deleted and inserted, because its id is a symlink's inode number.
create table dataset_tags (
    id         bigint generated always as identity unique,
    namespace  text collate "C" not null,
    name       text collate "C" not null,
    version    text collate "C" not null,
    hash       text collate "C" not null,
    target     text collate "C" not null,
    created_at bigint not null,
    updated_at bigint not null,
    primary key (namespace, name, version),
    foreign key (namespace, name, hash) references dataset_manifests (namespace, name, hash) on delete cascade
);
create index dataset_tags_manifest on dataset_tags (namespace, name, hash);

create table jobs (
    id           bigint generated always as identity primary key,
    node         text collate "C" not null,
    kind         text collate "C" not null,
    status       text collate "C" not null check (status in ('running', 'done', 'failed', 'taken over')),
    heartbeat_at bigint not null,
    created_at   bigint not null
);

create table physical_tables (
    id                bigint generated always as identity primary key,
    manifest_hash     text collate "C" not null references manifests (hash),
    dataset_namespace text collate "C" not null,
    dataset_name      text collate "C" not null,
    table_name        text collate "C" not null,
    revision          text collate "C" not null unique,
    path              text collate "C" not null unique,
    active            boolean not null default false,
    writer            bigint references jobs (id),
    created_at        bigint not null,
    updated_at        bigint not null
);
create unique index physical_tables_active
    on physical_tables (dataset_namespace, dataset_name, manifest_hash, table_name) where active;
create index physical_tables_table
    on physical_tables (dataset_namespace, dataset_name, manifest_hash, table_name);
create index physical_tables_manifest on physical_tables (manifest_hash);
create index physical_tables_writer on physical_tables (writer) where writer is not null;

-- dir is the parent of file_name in a table of files, and '' in its root and in a parquet table.
-- The footer's bytes lie in footer_cache only, so that a listing does not read past them.
create table file_metadata (
    id             bigint generated always as identity primary key,
    location_id    bigint not null references physical_tables (id) on delete cascade,
    file_name      text collate "C" not null,
    dir            text collate "C" not null default '',
    url            text collate "C" not null,
    object_size    bigint not null,
    object_e_tag   text collate "C" not null default '',
    object_version text collate "C" not null default '',
    sha256         text collate "C" not null default '',
    row_count      bigint not null default 0,
    created_at     bigint not null,
    footer_offset  bigint not null default 0,
    metadata       text collate "C" not null default '{}',
    unique (location_id, file_name)
);
create index file_metadata_dir on file_metadata (location_id, dir, file_name);
create index file_metadata_sha256 on file_metadata (location_id, sha256);

-- Directories of tables of files.
create table file_directories (
    id          bigint generated always as identity unique,
    location_id bigint not null references physical_tables (id) on delete cascade,
    dir         text collate "C" not null,
    name        text collate "C" not null,
    created_at  bigint not null,
    primary key (location_id, dir, name)
);

create table footer_cache (
    file_id bigint primary key references file_metadata (id) on delete cascade,
    footer  bytea not null
);

-- History: it outlives the revisions that it names.
create table activations (
    dataset_namespace text collate "C" not null,
    dataset_name      text collate "C" not null,
    manifest_hash     text collate "C" not null,
    table_name        text collate "C" not null,
    n                 bigint not null,
    location_id       bigint,
    activated_at      bigint not null,
    actor             text collate "C" not null default '',
    primary key (dataset_namespace, dataset_name, manifest_hash, table_name, n)
);

create table change_head (
    one boolean primary key check (one),
    seq bigint not null
);
insert into change_head (one, seq) values (true, 0);

create table changes (
    seq         bigint not null,
    n           bigint not null,
    kind        text collate "C" not null,
    namespace   text collate "C" not null default '',
    name        text collate "C" not null default '',
    hash        text collate "C" not null default '',
    version     text collate "C" not null default '',
    table_name  text collate "C" not null default '',
    location_id bigint not null default 0,
    first_file  bigint not null default 0,
    last_file   bigint not null default 0,
    created_at  bigint not null,
    primary key (seq, n)
);

-- What waits to be deleted: a row outlives its file's row until the object is gone too.
create table gc_manifest (
    file_id     bigint primary key,
    location_id bigint not null,
    file_path   text collate "C" not null,
    expiration  bigint not null,
    created_at  bigint not null
);
create index gc_manifest_expiration on gc_manifest (expiration);

create table repositories (
    uuid       text collate "C" primary key,
    name       text collate "C" not null unique,
    url        text collate "C" not null,
    kind       text collate "C" not null,
    created_at bigint not null
);

create table file_locations (
    namespace  text collate "C" not null,
    name       text collate "C" not null,
    file_key   text collate "C" not null,
    repository text collate "C" not null references repositories (uuid),
    created_at bigint not null,
    primary key (namespace, name, file_key, repository)
);
create index file_locations_repository on file_locations (repository);
