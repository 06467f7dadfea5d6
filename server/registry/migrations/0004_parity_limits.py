import django.db.models.deletion
from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('registry', '0003_release_golden'),
    ]

    operations = [
        migrations.AddField(
            model_name='visionmodel',
            name='limits_body',
            field=models.JSONField(default=dict, help_text='ParityLimits; empty is the defaults: nobody has set them.'),
        ),
        migrations.AddField(
            model_name='visionmodel',
            name='limits_number',
            field=models.PositiveIntegerField(default=0, help_text='Number of their last change; 0 where nobody has set them.'),
        ),
        migrations.CreateModel(
            name='LimitsChange',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('number', models.PositiveIntegerField()),
                ('old', models.JSONField(help_text='ParityLimits before it, in full.')),
                ('new', models.JSONField(help_text='ParityLimits after it, in full.')),
                ('actor', models.CharField(max_length=200)),
                ('reason', models.TextField()),
                ('at', models.DateTimeField()),
                ('model', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='limits_changes', to='registry.visionmodel')),
            ],
            options={
                'ordering': ['-number'],
                'constraints': [models.UniqueConstraint(fields=('model', 'number'), name='limits_change_once')],
            },
        ),
    ]
