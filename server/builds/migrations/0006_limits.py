from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('builds', '0005_devices_judge'),
        ('registry', '0004_parity_limits'),
    ]

    operations = [
        migrations.AddField(
            model_name='build',
            name='limits_body',
            field=models.JSONField(default=dict, help_text='ParityLimits of its model when it was queued; empty is defaults.'),
        ),
        migrations.AddField(
            model_name='artifact',
            name='superseded_at',
            field=models.DateTimeField(blank=True, help_text='Since when new releases take a later one.', null=True),
        ),
        migrations.RemoveConstraint(
            model_name='artifact',
            name='one_artifact_per_profile',
        ),
        migrations.AddConstraint(
            model_name='artifact',
            constraint=models.UniqueConstraint(condition=models.Q(('superseded_at', None)), fields=('version', 'profile'), name='one_artifact_per_profile'),
        ),
    ]
