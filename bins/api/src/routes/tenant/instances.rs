//! WhatsApp instances at Evolution API servers. A token is sealed before it is stored, and no answer contains it.

mod ask;
mod gateway;

use regua_domain::{InstanceId, InstanceName, MessageType, Sealed};
use regua_evolution::{InstanceAddress, InvalidAddress, Token};
use regua_secrets::{Place, open_token};
use regua_store::instances::{self, InstanceSettings};
use regua_store::type_defaults;

use crate::routes::kit::*;

const MAX_INSTANCES: usize = 500;

pub(super) fn router() -> OpenApiRouter<Context> {
    OpenApiRouter::new()
        .routes(routes!(list_instances, create_instance))
        .routes(routes!(get_instance, replace_instance, delete_instance))
        .routes(routes!(gateway::check_instance))
        .routes(routes!(gateway::set_instance_webhook))
}

items! { Instances of InstanceSettings }

body! {
    struct NewInstanceRequest {
        /// The instance's name at the gateway.
        name: InstanceName,
        /// The Evolution API server.
        #[example = "https://evolution.acme.example"]
        base_url: Line<0, 500>,
        /// The instance's token, or the server's global key.
        token: Line<1, 500>,
        /// Default: the tenant's.
        messages_per_minute: Option<Number<1, 6_000_000>>,
        /// Default: the tenant's.
        daily_cap: Option<Number<1, 2_147_483_647>>,
        /// More than 1 only for an instance that may send fast. Default: 1.
        lane_concurrency: Number<1, 256, i16> = 1,
    }
}

body! {
    /// The new address, token and rate of an instance. The name cannot be changed.
    struct InstanceRequest {
        /// The Evolution API server.
        base_url: Line<0, 500>,
        /// Default: the present token.
        token: Option<Line<1, 500>>,
        /// Default: the tenant's.
        messages_per_minute: Option<Number<1, 6_000_000>>,
        /// Default: the tenant's.
        daily_cap: Option<Number<1, 2_147_483_647>>,
        /// More than 1 only for an instance that may send fast. Default: 1.
        lane_concurrency: Number<1, 256, i16> = 1,
    }
}

/// The tenant's instances, by name.
#[utoipa::path(get, path = "/instances", responses((status = 200, description = "All instances", body = Instances)))]
async fn list_instances(access: Access<Read>) -> Answer<Instances> {
    let items = access.read(async |conn| instances::settings(conn, access.tenant_id, None).await).await?;
    Ok(Json(Instances { items }))
}

/// One instance.
#[utoipa::path(
    get, path = "/instances/{instance_id}",
    responses((status = 200, description = "The instance", body = InstanceSettings))
)]
async fn get_instance(access: Access<Read>, InPath(id): InPath<InstanceId>) -> Answer<InstanceSettings> {
    access.read(async |conn| find(conn, &access, id).await).await.map(Json)
}

/// Adds an instance. It becomes the default of each type that has none.
#[utoipa::path(
    post, path = "/instances", request_body = NewInstanceRequest,
    responses((status = 201, description = "Added", body = InstanceSettings))
)]
async fn create_instance(access: Access<Operate>, mut body: Draft<NewInstanceRequest>) -> Created<InstanceSettings> {
    let (base_url, token, name) = (body.base_url.clone(), body.token.clone(), body.name.clone());
    let address = check_address(&mut body, &access.context, base_url, name.as_ref(), token);
    let NewInstanceRequest { name, token, messages_per_minute, daily_cap, lane_concurrency, .. } = body.finish()?;
    let (address, tenant) = (found(address)?, access.tenant_id);
    let id = InstanceId::new(access.context.clock.now());
    let sealed = seal(&access, id, &token)?;
    let work = async |conn: &mut PgConnection, now| {
        let count = instances::settings(conn, tenant, None).await?.len();
        refuse_unless(count < MAX_INSTANCES, Text::of("instance-too-many").with("most", MAX_INSTANCES))?;
        refuse_instance_of_another(conn, &access, &address).await?;
        if !instances::create(conn, tenant, id, &name, address.server(), &sealed, now).await? {
            return Err(Problem::name_taken(Text::of("instance-name-taken").with("name", name)));
        }
        instances::set_pace(conn, tenant, id, messages_per_minute, daily_cap, lane_concurrency).await?;
        for message_type in MessageType::ALL {
            type_defaults::set_missing(conn, tenant, message_type, None, Some(id)).await?;
        }
        Ok(((), find(conn, &access, id).await?))
    };
    created(access.change("instance.created", id, work).await?)
}

/// An instance in the audit log.
#[derive(Serialize)]
struct Replaced {
    #[serde(flatten)]
    instance: InstanceSettings,
    token_replaced: bool,
}

/// Changes an instance's address, token and rate. Without `token` the present token stays. A worker uses the change
/// within ten seconds, and checks an instance that is down at once.
#[utoipa::path(
    put, path = "/instances/{instance_id}", request_body = InstanceRequest,
    responses((status = 200, description = "The changed instance", body = InstanceSettings))
)]
async fn replace_instance(
    access: Access<Operate>,
    InPath(id): InPath<InstanceId>,
    mut body: Draft<InstanceRequest>,
) -> Answer<InstanceSettings> {
    let tenant = access.tenant_id;
    let work = async |conn: &mut PgConnection, now| {
        let before = find(conn, &access, id).await?;
        let new_token = body.token.clone().flatten();
        let token_replaced = new_token.is_some();
        // A new token replaces a token that cannot be opened.
        let token = match new_token {
            Some(token) => token,
            None => stored_token(conn, &access, id).await?,
        };
        let base_url = body.base_url.clone();
        let address = check_address(&mut body, &access.context, base_url, Some(&before.name), Some(token.clone()));
        let is_moved = |server: &str| server != before.base_url.trim_end_matches('/');
        let is_replaced = token_replaced || address.as_ref().is_some_and(|address| is_moved(address.server()));
        if is_replaced && !token_replaced {
            // Otherwise an operator could read the token by sending it to a server of their own.
            body.refuse("token", "required", &Text::of("instance-token-required"));
        }
        let InstanceRequest { messages_per_minute, daily_cap, lane_concurrency, .. } = body.finish()?;
        let address = found(address)?;
        refuse_instance_of_another(conn, &access, &address).await?;
        let sealed = seal(&access, id, &token)?;
        instances::set_address(conn, tenant, id, address.server(), &sealed, is_replaced, now).await?;
        instances::set_pace(conn, tenant, id, messages_per_minute, daily_cap, lane_concurrency).await?;
        Ok((before, Replaced { instance: find(conn, &access, id).await?, token_replaced }))
    };
    let replaced = access.change("instance.updated", id, work).await?;
    Ok(Json(replaced.instance))
}

/// Deletes an instance that no queue uses and that is not a default.
#[utoipa::path(delete, path = "/instances/{instance_id}", responses((status = 204, description = "Deleted")))]
async fn delete_instance(access: Access<Operate>, InPath(id): InPath<InstanceId>) -> Done {
    let work = async |conn: &mut PgConnection, _| {
        let before = find(conn, &access, id).await?;
        unless_in_use(instances::delete(conn, access.tenant_id, id).await, Text::of("instance-in-use"))?;
        Ok((before, ()))
    };
    access.change("instance.deleted", id, work).await?;
    Ok(DONE)
}

async fn find(conn: &mut PgConnection, access: &Principal, id: InstanceId) -> Result<InstanceSettings, Problem> {
    found(instances::settings(conn, access.tenant_id, Some(id)).await?.pop())
}

async fn stored_token(conn: &mut PgConnection, access: &Principal, id: InstanceId) -> Result<String, Problem> {
    let stored = found(instances::get(conn, access.tenant_id, id).await?)?;
    open_token(&access.context.secrets, access.tenant_id, &stored)
        .map_err(|error| Problem::conflict(Text::of("instance-token-unreadable").with("error", error)))
}

/// An instance belongs to one tenant: two tenants could not keep its rate. One that its gateway has not accepted yet
/// keeps no other tenant from adding it: its token may be invented.
async fn refuse_instance_of_another(
    conn: &mut PgConnection,
    access: &Principal,
    address: &InstanceAddress,
) -> Result<(), Problem> {
    let name: InstanceName = address.name().parse().map_err(Problem::internal)?;
    let servers = instances::servers_of_other_tenants(conn, access.tenant_id, &name).await?;
    if !servers.iter().any(|server| address.is_at(server)) {
        return Ok(());
    }
    let text = Text::of("instance-of-another-tenant").with("name", name).with("server", address.server());
    Err(Problem::name_taken(text))
}

impl Member for InstanceName {
    type Value = Self;

    fn schema() -> Schema {
        text().pattern(Some("^[A-Za-z0-9._-]{1,64}$")).into()
    }

    fn read(field: &mut Field<'_, '_>) -> Option<Self> {
        field.parsed(64, |text| text.parse().ok(), "invalid_name", &Text::of("instance-name-invalid"))
    }
}

/// The address of an instance; none without server or token. Refuses an invalid one, and one outside the allowed
/// networks. Where the name has an error, the other parts are checked with another name.
fn check_address<T: Body>(
    body: &mut Draft<T>,
    context: &Context,
    base_url: Option<String>,
    name: Option<&InstanceName>,
    token: Option<String>,
) -> Option<InstanceAddress> {
    let (base_url, token) = (base_url?, token?);
    let name = name.map_or("instance", InstanceName::as_str);
    let parsed = Token::parse(&token).and_then(|token| InstanceAddress::parse(&base_url, name, token));
    let (field, code, text) = match parsed {
        Ok(address) if address.is_allowed(&context.settings.gateway_networks) => return Some(address),
        Ok(address) => {
            let text = Text::of("instance-address-not-allowed").with("server", address.server());
            ("base_url", "address_not_allowed", text)
        }
        Err(InvalidAddress::BaseUrl) => ("base_url", "invalid_url", Text::of("instance-address-invalid")),
        Err(InvalidAddress::Name) => ("name", "invalid_name", Text::of("instance-name-not-in-path")),
        Err(InvalidAddress::Token) => ("token", "invalid_token", Text::of("instance-token-not-in-header")),
    };
    body.refuse(field, code, &text);
    None
}

fn seal(access: &Principal, id: InstanceId, token: &str) -> Result<Sealed, Problem> {
    let place = Place::instance_token(access.tenant_id, id);
    access.context.secrets.seal(&place, token).map_err(Problem::internal)
}
