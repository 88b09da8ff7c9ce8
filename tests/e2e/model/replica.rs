//! A replica of periodic that looks for attempts of unknown outcome, step by step, and whether what it decides may be
//! decided.

use std::collections::VecDeque;

use anyhow::ensure;
use regua_domain::MessageType;
use regua_evolution::Found;
use regua_periodic::protocol::Replica;
use regua_store::attempts::Sought;

use super::broken::{self, Broken};
use super::world::World;

/// Looks of the schedule; before the last has seen nothing, nothing is sent again.
pub(super) const LOOKS: u32 = 2;

/// A replica, and what it has in its memory.
pub(super) struct Looking {
    pub(super) replica: Replica,
    pub(super) hand: VecDeque<(Sought, Option<Found>)>,
}

impl Looking {
    pub(super) const fn new(replica: Replica) -> Self {
        Self { replica, hand: VecDeque::new() }
    }
}

/// The replica's next step; one that fails is forgotten, as the product forgets it until it is due again.
pub(super) async fn go_on(world: &mut World<'_>, n: usize, fails: bool) -> anyhow::Result<()> {
    let Some((sought, found)) = world.replicas[n].hand.pop_front() else {
        let taken = world.replicas[n].replica.take().await?;
        if !taken.is_empty() && !fails {
            world.tell(format!("replica {n} takes {} to look for", taken.len()));
            world.replicas[n].hand = taken.into_iter().map(|sought| (sought, None)).collect();
        }
        return Ok(());
    };
    if fails {
        return Ok(());
    }
    let name = format!("contact {}", world.person(&sought.reference));
    match found {
        None if world.broken == Broken::ResendsBlindly => {
            world.tell(format!("replica {n} has {name} sent again"));
            let before = resends(world, &sought).await?;
            broken::resend(world, &sought).await?;
            judge(world, &sought, before).await
        }
        None => {
            if world.replicas[n].replica.prove(&sought).await? {
                world.tell(format!("replica {n} finds a proof of {name} that was kept"));
                return Ok(());
            }
            let found = world.gateway.find(&sought);
            if found == Found::Nothing {
                *world.looks.entry(sought.key.attempt).or_default() += 1;
            }
            world.tell(format!("replica {n} looks for {name}: {found:?}"));
            world.replicas[n].hand.push_front((sought, Some(found)));
            Ok(())
        }
        Some(found) => {
            world.tell(format!("replica {n} acts on its look for {name}"));
            let before = resends(world, &sought).await?;
            world.replicas[n].replica.settle(&sought, found).await?;
            judge(world, &sought, before).await
        }
    }
}

/// Where the contact is to be sent again: whether that is right.
async fn judge(world: &mut World<'_>, sought: &Sought, before: i16) -> anyhow::Result<()> {
    if resends(world, sought).await? == before {
        return Ok(());
    }
    let person = world.person(&sought.reference);
    ensure!(sought.message_type != MessageType::Overdue, "an overdue contact was sent again by nobody's word");
    let allowed = world.resends.entry(person).or_default();
    allowed.0 += 1;
    ensure!(allowed.0 == 1, "contact {person} was sent again twice by the tenant's rule");
    let looks = world.looks.get(&sought.key.attempt).copied().unwrap_or(0);
    ensure!(looks >= LOOKS, "contact {person} was sent again after {looks} looks");
    world.tell(format!("contact {person} is to be sent once more"));
    Ok(())
}

#[expect(clippy::disallowed_methods, reason = "a test looks at the tables directly")]
async fn resends(world: &World<'_>, sought: &Sought) -> anyhow::Result<i16> {
    let query = "select resends from contacts where contact_id = $1";
    Ok(sqlx::query_scalar(query).bind(sought.key.contact.0).fetch_one(&world.stage.pool).await?)
}
